"""What a service's readiness page says."""

import json
from typing import Any

from nexuslims_shared.health import Check, Health
from nexuslims_shared.secrets import HIDDEN, remember


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
