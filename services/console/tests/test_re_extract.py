"""Which sessions ``rebuild --re-extract`` is about."""

from typing import Any

import pytest

from nexuslims_console.actions.re_extract import _meant
from nexuslims_console.errors import ConsoleError
from nexuslims_console.views import session_row
from nexuslims_contracts.testing import SessionEvents, recorded
from nexuslims_shared.session.state import fold
from nexuslims_shared.session.window import ALWAYS


def row(name: str, *more: str) -> Any:
    """A session with a record, and what came after it."""
    facts = SessionEvents(name)
    events = [*facts.history(), *(getattr(facts, one)(after=90) for one in more)]
    return session_row(fold(recorded(events)))


class Model:
    """A read model of three sessions."""

    rows = (row("a"), row("b", "cancelled"), row("c", "declined"))

    def sessions(self, **_: Any) -> list[Any]:
        return list(self.rows)

    def session(self, name: str) -> Any:
        return next(one for one in self.rows if one.session == name)


def test_what_was_cancelled_or_declined_is_left_out_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model: Any = Model()
    assert _meant(model, "", ALWAYS) == ["a"]
    printed = capsys.readouterr().err
    assert "left out: 1 (cancelled)" in printed
    assert "left out: 1 (no consent)" in printed


def test_one_that_cannot_be_built_is_an_error() -> None:
    model: Any = Model()
    with pytest.raises(ConsoleError, match="b has no record to make again: it is CANCELLED"):
        _meant(model, "b", ALWAYS)
