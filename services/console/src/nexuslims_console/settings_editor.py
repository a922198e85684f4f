"""``nexuslims config edit``: the settings as a form in the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Footer, Header, Input, Label, Select, TabbedContent, TabPane

from nexuslims_shared.settings.form import Entry, Page, changed, problems


def edit(pages: Sequence[Page], given: Mapping[str, str]) -> dict[str, str]:
    """Show the form; return what is to be changed in ``.env``, which may be nothing.

    Parameters
    ----------
    pages
        Of the form.
    given
        The values in effect by variable, those of the environment too.
    """
    return SettingsEditor(pages, given).run() or {}


class Row(Vertical):
    """One setting: its name, what it is for, its value, and what is wrong with it.

    Parameters
    ----------
    entry
        The setting.
    """

    def __init__(self, entry: Entry) -> None:
        super().__init__(id=f"row-{entry.variable}")
        self.entry = entry

    def compose(self) -> ComposeResult:
        """Lay it out."""
        entry = self.entry
        yield Label(f"{entry.variable}{' (required)' if entry.required else ''}", classes="name")
        yield Label(_meaning(entry), classes="meaning", markup=False)
        if entry.choices:
            value = entry.value.lower() if entry.value.lower() in entry.choices else entry.value
            yield Select(
                [(one, one) for one in entry.choices],
                prompt=f"{entry.default} (the default)",
                value=value if value in entry.choices else Select.NULL,
                id=entry.variable,
                disabled=entry.elsewhere,
            )
        else:
            yield Input(
                "" if entry.secret else entry.value,
                placeholder=_placeholder(entry),
                password=entry.secret,
                id=entry.variable,
                disabled=entry.elsewhere,
            )
        yield Label("", classes="problem", markup=False)

    def show(self, problem: str) -> None:
        """Say what is wrong with the value; nothing if it is right."""
        label = self.query_one(".problem", Label)
        label.update(problem)
        label.display = bool(problem)


def _meaning(entry: Entry) -> str:
    if entry.elsewhere:
        return f"{entry.meaning}. Set by the environment or a file, which wins over .env"
    return entry.meaning


def _placeholder(entry: Entry) -> str:
    if entry.secret and entry.value:
        return "set; type to replace it"
    return f"{entry.default} (the default)" if entry.default else ""


class LeaveScreen(ModalScreen[bool]):
    """Asks whether to leave without saving."""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(id="question"):
            yield Label("Leave without saving what you changed?")
            with Horizontal():
                yield Button("Leave", variant="error", id="leave")
                yield Button("Stay", variant="primary", id="stay")

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        """Close with the answer."""
        self.dismiss(event.button.id == "leave")


class SettingsEditor(App[dict[str, str]]):
    """The form; returns what is to be changed in ``.env``, or None if nothing is to be saved.

    Parameters
    ----------
    pages
        Of the form.
    given
        The values in effect by variable, those of the environment too.
    """

    TITLE = "Settings"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("ctrl+s", "save", "Save"),
        ("ctrl+q", "leave", "Leave"),
    ]
    CSS = """
    Row { height: auto; padding: 0 1; margin-bottom: 1; }
    .name { text-style: bold; }
    .meaning { color: $text-muted; }
    .problem { color: $text-error; display: none; }
    LeaveScreen { align: center middle; }
    #question { width: 50; height: auto; border: thick $primary; padding: 1 2; }
    #question Horizontal { height: auto; margin-top: 1; }
    #question Button { margin-right: 2; }
    """

    def __init__(self, pages: Sequence[Page], given: Mapping[str, str]) -> None:
        super().__init__()
        self._pages: Final = list(pages)
        self._values = dict(given)

    def compose(self) -> ComposeResult:
        """Lay it out: one tab for each group."""
        yield Header()
        with TabbedContent():
            for page in self._pages:
                with TabPane(page.title), VerticalScroll():
                    yield from (Row(entry) for entry in page.entries)
        yield Footer()

    def on_mount(self) -> None:
        """Say what is wrong with the settings as they are."""
        for page in self._pages:
            self._check(page)

    @on(Input.Changed)
    def input_changed(self, event: Input.Changed) -> None:
        """Take a value that was typed."""
        self._take(event.input.id or "", event.value)

    @on(Select.Changed)
    def select_changed(self, event: Select.Changed) -> None:
        """Take a value that was chosen."""
        chosen = event.value
        self._take(event.select.id or "", chosen if isinstance(chosen, str) else "")

    def _take(self, variable: str, value: str) -> None:
        page = next(
            page for page in self._pages if any(one.variable == variable for one in page.entries)
        )
        entry = next(one for one in page.entries if one.variable == variable)
        if entry.elsewhere:
            return
        self._values[variable] = value or (entry.value if entry.secret else "")
        self._check(page)

    def _check(self, page: Page) -> dict[str, str]:
        found = problems(page, self._values)
        for entry in page.entries:
            self.query_one(f"#row-{entry.variable}", Row).show(found.get(entry.variable, ""))
        return found

    def _changes(self) -> dict[str, str]:
        return changed(self._entries(), self._values)

    def _entries(self) -> Iterator[Entry]:
        return (entry for page in self._pages for entry in page.entries if not entry.elsewhere)

    def action_save(self) -> None:
        """Save and leave, or lead to what is wrong."""
        for number, page in enumerate(self._pages, start=1):
            if found := self._check(page):
                variable, problem = next(iter(found.items()))
                self.query_one(TabbedContent).active = f"tab-{number}"
                self.query_one(f"#{variable}").focus()
                self.notify(problem, title="Not saved", severity="error", markup=False)
                return
        self.exit(self._changes())

    def action_leave(self) -> None:
        """Leave, after asking if something was changed."""
        if not self._changes():
            self.exit(None)
            return
        self.push_screen(LeaveScreen(), self._left)

    def _left(self, leave: bool | None) -> None:
        if leave:
            self.exit(None)
