"""How every benchmark reports: a table for people, then one line of JSON for machines."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and its limit."""

    value: float
    limit: float
    at_least: bool = False

    @property
    def ok(self) -> bool:
        """Whether the figure keeps the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(slots=True)
class Report:
    """The outcome of one benchmark."""

    bench: str
    figures: dict[str, float] = field(default_factory=dict)
    bars: dict[str, Bar] = field(default_factory=dict)

    def finish(self, notes: Mapping[str, str] | None = None) -> None:
        """Print everything and leave: status 0 if all bars hold, 1 if not."""
        console = Console()
        table = Table(title=self.bench)
        for column in ("figure", "value", "bar", ""):
            table.add_column(column, justify="right" if column == "value" else "left")
        for name, value in self.figures.items():
            table.add_row(name, f"{value:,.4g}")
        for name, bar in self.bars.items():
            relation = ">=" if bar.at_least else "<="
            verdict = "[green]ok[/]" if bar.ok else "[red]missed[/]"
            table.add_row(name, f"{bar.value:,.4g}", f"{relation} {bar.limit:g}", verdict)
        console.print(table)
        for name, note in (notes or {}).items():
            console.print(f"{name}: {note}")
        ok = all(bar.ok for bar in self.bars.values())
        line = {
            "bench": self.bench,
            "figures": {name: round(value, 6) for name, value in self.figures.items()},
            "bars": {
                name: {"value": round(bar.value, 6), "limit": bar.limit, "ok": bar.ok}
                for name, bar in self.bars.items()
            },
            "ok": ok,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        sys.exit(0 if ok else 1)
