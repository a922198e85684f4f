"""A stream that an earlier release wrote is replayed by this one."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nexuslims_contracts.events import RebuildRequested, RecordBuilt, RecordRejected
from nexuslims_shared.broker import connect
from nexuslims_shared.session.status import Status, progress
from tests.system import System, running

STORED = Path(__file__).parents[1] / "contracts" / "tests" / "stored"
SESSION = "nemo-1-usage-5821"
STORY = (
    "session.started.v1",
    "session.ended.v1",
    "reservation.matched.v1",
    "file.indexed.v1",
    "session.indexed.v1",
    "metadata.extracted.v1",
    "record.rejected.v1",
)

pytestmark = pytest.mark.broker


async def replay(system: System, history: Sequence[str] = STORY) -> None:
    """Store messages as release 1 left them, byte for byte."""
    client = await connect(system.broker.url, name="release 1")
    for name in history:
        message = json.loads((STORED / f"nexuslims.{name}.json").read_text(encoding="utf-8"))
        await client.jetstream().publish(
            message["subject"], json.dumps(message["payload"]).encode(), headers=message["headers"]
        )
    await client.close()


async def test_a_stream_of_version_1_is_folded_and_its_record_built_again(tmp_path: Path) -> None:
    for folder in ("instrument-data", "data"):
        (tmp_path / folder).mkdir()
    settings = {
        "NX_INSTRUMENT_DATA_PATH": str(tmp_path / "instrument-data"),
        "NX_DATA_PATH": str(tmp_path / "data"),
    }
    async with running(tmp_path, ("builder",), **settings) as system:
        await replay(system)
        state = await system.state(SESSION)
        assert state.built is not None
        rejected = state.built.event
        assert isinstance(rejected, RecordRejected)
        assert rejected.version == 2
        assert rejected.problems[0].startswith("line 12: <id>")
        assert progress(state).status is Status.ERROR
        assert progress(state).reason == rejected.reason

        await system.append(RebuildRequested(session=SESSION, request="after the update"))
        built = await system.wait_until(lambda recorded: isinstance(recorded.event, RecordBuilt))
        assert built.sequence == len(STORY) + 2
        assert progress(await system.state(SESSION)).status is not Status.ERROR
