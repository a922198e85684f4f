"""Messages that are no events, put into the log on purpose: no session is stopped by them."""

import json
from pathlib import Path

import nats.js.errors
import pytest
from demo.facility import make_facility

from nexuslims_contracts.envelope import encode, envelop
from nexuslims_contracts.events import ReservationMatched, RetryRequested
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.broker import connect
from nexuslims_shared.session.status import Status
from tests.system import running

pytestmark = pytest.mark.broker

SESSION = "file-1001"
TITLE = "Gold nanoparticles on carbon"
FORGED = SessionEvents(SESSION)


async def test_forged_and_malformed_messages_do_not_stop_a_session(tmp_path: Path) -> None:
    make_facility(tmp_path)
    async with running(tmp_path) as system:
        client = await connect(system.broker.url, name="intruder")
        jetstream = client.jetstream()
        await system.wait_for_status([SESSION])
        subject = f"nexus.events.{SESSION}"
        declined = encode(envelop(FORGED.declined(), source="nexuslims/harvester"))
        for kind in ("record-built", "session-ended", "reservation-matched", "record-rejected"):
            await jetstream.publish(f"{subject}.{kind}", b"{]")
            await jetstream.publish(f"{subject}.{kind}", declined[1], headers=declined[0])
            headers = {**declined[0], "Nats-Msg-Id": kind, "Nats-Sequence": "1"}
            await jetstream.publish(f"{subject}.{kind}", b"[" * 100_000, headers=headers)
            later = {**declined[0], "Nats-Msg-Id": f"{kind}-later", "ce-type": f"{kind}.v99"}
            await jetstream.publish(f"{subject}.{kind}", b"[" * 100_000, headers=later)
        await jetstream.publish("$KV.NEXUS_PERIODS.of-nobody", b"{]")
        await jetstream.publish("nexus.dead-letters.indexer", b"[" * 100_000)
        with pytest.raises(nats.js.errors.APIError, match="maximum"):
            await jetstream.publish(f"{subject}.record-built", b"x" * 400_000)
        # an answer of the broker, sent to the log as if it were a question's inbox
        question = json.dumps({"last_by_subj": f"{subject}.record-built"}).encode()
        await client.publish(
            "$JS.API.DIRECT.GET.NEXUS_EVENTS", question, f"{subject}.session-ended"
        )
        await client.flush()
        await client.close()
        calendar = tmp_path / "calendar.toml"
        new = calendar.with_suffix(".new")
        new.write_text(calendar.read_text().replace(TITLE, "As it was corrected"))
        new.replace(calendar)
        await system.wait_until(
            lambda item: (
                isinstance(item.event, ReservationMatched)
                and item.event.title == "As it was corrected"
            )
        )
        await system.wait_until_handled()  # a retry closes the letters that there are by then
        after = await system.store.last_sequence()
        await system.append(RetryRequested(session=SESSION, request="after the repair"))
        await system.wait_for_status([SESSION], (Status.COMPLETED,), after=after)
