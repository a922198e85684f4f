"""Releases that are mixed, as docs/operations/upgrade.md tells it: newer events in the log."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from demo.facility import make_facility
from nats.js import JetStreamContext

from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.events import RetryRequested
from nexuslims_shared.broker import connect
from nexuslims_shared.session.status import Status, progress
from tests.system import PIPELINE, System, running

pytestmark = pytest.mark.broker

NEWER, OURS = "file-1002", "file-1001"


async def state_newer(jetstream: JetStreamContext) -> int:
    """Store an event as a newer release would; return its sequence."""
    event = envelop(RetryRequested(session=NEWER, request="of the next release"), source="next")
    headers, payload = encode(event)
    headers["ce-type"] = "nexuslims.retry.requested.v99"
    document = {**json.loads(payload), "version": 99, "something": "new"}
    ack = await jetstream.publish(event.subject, json.dumps(document).encode(), headers=headers)
    return ack.seq


async def unreadable_at(system: System, name: str, sequence: int) -> dict[str, Any]:
    """Wait until a service says that it left an event for a newer release."""
    while True:
        _, body = await asyncio.to_thread(system.get, name, "/readyz")
        if isinstance(body, dict) and str(sequence) in body["unreadable_events"]:
            return body
        await asyncio.sleep(0.1)


async def test_services_of_a_release_leave_what_a_newer_one_wrote(tmp_path: Path) -> None:
    """After a rollback: sessions without such events go on, the others wait and say so."""
    make_facility(tmp_path)
    async with running(tmp_path, PIPELINE) as system:
        client = await connect(system.broker.url, name="next release")
        sequence = await state_newer(client.jetstream())
        states = await system.wait_for_status([OURS])
        assert progress(states[OURS]).status is Status.COMPLETED
        for name in ("indexer", "extractor", "builder", "uploader"):
            body = await unreadable_at(system, name, sequence)
            assert "update the service" in body["unreadable_events"][str(sequence)]
        info = await client.jetstream().consumer_info("NEXUS_EVENTS", "indexer")
        assert info.num_ack_pending, "it is handed back, for the next release to take up"
        await client.close()
