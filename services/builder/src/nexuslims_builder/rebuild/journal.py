"""What a job has done so far, in a file: a job that was stopped goes on where it was."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from nexuslims_builder.errors import BuilderError
from nexuslims_builder.rebuild.rebuilder import Kind, Outcome


@dataclass(slots=True)
class Tally:
    """What came of the sessions of a job.

    Parameters
    ----------
    kinds
        How many of each kind.
    left_out
        How many were left out, by reason.
    listed
        All that changed, were rejected or failed; with ``list_all`` also those that did not change.
    list_all
        Whether memory is spent on a list of everything.
    away
        Names of the log's periods that were removed: what is in them is not counted at all.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    listed: list[Outcome] = field(default_factory=list)
    list_all: bool = False
    away: tuple[str, ...] = ()

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count outcomes."""
        for one in outcomes:
            self.kinds[one.kind] += 1
            if one.kind is Kind.LEFT_OUT:
                self.left_out[one.detail] += 1
            elif self.list_all or one.kind is not Kind.UNCHANGED:
                self.listed.append(one)

    @property
    def ok(self) -> bool:
        """Whether nobody need see to a session."""
        return not self.kinds[Kind.REJECTED] and not self.kinds[Kind.FAILED]


class Journal:
    """Writes the outcomes of a job, and knows those of the attempt before.

    Parameters
    ----------
    path
        Its file; the name stands for what the job is about.
    list_all
        Whether the tally lists everything.
    """

    def __init__(self, path: Path, *, list_all: bool = False) -> None:
        self._path = path
        self.tally = Tally(list_all=list_all)
        self.done: set[str] = set()

    def __enter__(self) -> Self:
        """Read what the attempt before has done."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for line in self._lines():
                outcome = Outcome(line["session"], Kind(line["kind"]), line["detail"])
                self.done.add(outcome.session)
                self.tally.add([outcome])
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise BuilderError(
                f"cannot write {self._path}: {error.strerror}; correct NX_STATE_PATH"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep the file if the job was stopped."""
        self._file.close()
        if kind is None:
            self._path.unlink()

    def forget(self) -> None:
        """Drop what the attempt before has done; call it before the journal is entered."""
        self._path.unlink(missing_ok=True)

    def add(self, outcomes: list[Outcome]) -> None:
        """Take down what is done."""
        self.tally.add(outcomes)
        self.done.update(one.session for one in outcomes)
        self._file.writelines(f"{json.dumps(asdict(one))}\n" for one in outcomes)
        self._file.flush()

    def _lines(self) -> list[dict[str, str]]:
        """Read the lines, without one that a crash cut off."""
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            self._path.write_bytes(whole)
        return [json.loads(line) for line in whole.splitlines()]
