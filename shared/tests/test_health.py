"""What a service's readiness page says."""

import json
import threading
from typing import Any

import pytest

from nexuslims_shared.errors import CouldNotLookError
from nexuslims_shared.health import Check, Examination, Health, Outcome
from nexuslims_shared.secrets import HIDDEN, remember
from nexuslims_shared.threads import in_thread


async def _page(health: Health) -> tuple[int, dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await health.ready({}, None, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def _well() -> str:
    return ""


async def test_notes_are_reported_and_do_not_make_it_unready() -> None:
    notes = {"cdcs": "away since noon"}
    health = Health("uploader", [Check("broker", _well)], notes=lambda: notes)
    status, page = await _page(health)
    assert (status, page["ready"], page["notes"]) == (200, True, notes)


async def test_without_notes_there_are_none() -> None:
    status, page = await _page(Health("indexer"))
    assert (status, page["notes"]) == (503, {})


async def test_no_secret_is_on_the_page() -> None:
    remember("s3cret-of-health")

    async def refused() -> str:
        return "nats://ann:pass-of-ann@broker:4222 refuses s3cret-of-health"

    health = Health(
        "uploader",
        [Check("broker", refused)],
        unreadable={7: "cannot read s3cret-of-health"},
        notes=lambda: {"cdcs": "GET /rest?token=abcdefgh is refused"},
    )
    _, page = await _page(health)
    assert page["checks"] == {"broker": f"nats://{HIDDEN}@broker:4222 refuses {HIDDEN}"}
    assert page["unreadable_events"] == {"7": f"cannot read {HIDDEN}"}
    assert page["notes"] == {"cdcs": f"GET /rest?token={HIDDEN} is refused"}


async def test_a_check_that_cannot_look_is_not_well() -> None:
    async def blind() -> str:
        raise CouldNotLookError("no such table here")

    async def silent() -> str:
        raise TimeoutError

    checks = [Check("blind", blind), Check("silent", silent, essential=False)]
    status, page = await _page(Health("indexer", [Check("broker", _well), *checks]))
    assert (status, page["ready"], page["well"]) == (503, False, False)
    assert page["could_not_look"] == ["blind", "silent"]
    assert page["checks"]["blind"] == "could not look: no such table here"


async def test_what_is_not_essential_leaves_it_ready_but_not_well() -> None:
    async def some() -> str:
        return "7 wait"

    checks = [Check("broker", _well), Check("dead letters", some, essential=False)]
    status, page = await _page(Health("indexer", checks))
    assert (status, page["ready"], page["well"]) == (200, True, False)
    assert page["checks"]["dead letters"] == "7 wait"


async def test_a_look_that_hangs_is_not_begun_again_and_keeps_nobody_waiting() -> None:
    begun, over = [], threading.Event()

    def hang() -> str:
        begun.append(1)
        over.wait()
        return ""

    examination = Examination(patience=0.05)
    checks = [Check("share", lambda: in_thread(hang)), Check("broker", _well)]
    for _ in range(3):
        results = await examination.results(checks)
        assert results["share"].outcome is Outcome.UNKNOWN
        assert results["broker"].outcome is Outcome.OK
    assert len(begun) == 1
    over.set()
    while (await examination.results(checks))["share"].outcome is Outcome.UNKNOWN:
        assert len(begun) == 1
    assert (await examination.results(checks))["share"].outcome is Outcome.OK


async def test_what_is_raised_in_a_thread_is_raised_where_it_is_awaited() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)
