"""A console for tests: pages from a memory store, without any broker."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import nats.errors
from nats.js import JetStreamContext
from services.console.tests.conftest import SessionHistory
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nexuslims_console.archive.projection import open_archive
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.database import Database
from nexuslims_console.projection import open_read_model
from nexuslims_console.web.app import make_app
from nexuslims_console.web.settings import ConsoleSettings
from nexuslims_console.web.site import make_site
from nexuslims_contracts.datasets import ArtifactRef, Dataset
from nexuslims_contracts.events import Event
from nexuslims_contracts.identifiers import file_token
from nexuslims_contracts.record.model import Activity, Experiment, Parameter
from nexuslims_contracts.record.model import Dataset as RecordDataset
from nexuslims_contracts.record.writer import write_record
from nexuslims_contracts.testing import START, SessionEvents
from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.dead_letters import MemoryDeadLetters
from nexuslims_shared.people import MemoryPeople, Person
from nexuslims_shared.settings import read_settings
from nexuslims_shared.store.memory import MemoryEventStore

ADDRESS = "http://127.0.0.1:8600"
LOCATION = "Titan/gold_1.dm3"
PREVIEW = "Titan/gold_1.dm3.thumb.png"


class AbsentBroker:
    """A broker that does not answer."""

    def __getattr__(self, name: str) -> Any:
        async def refuse(*arguments: Any, **more: Any) -> None:
            raise nats.errors.NoServersError

        return refuse


class Console:
    """The pages of a facility in a folder.

    Parameters
    ----------
    folder
        Where files and tables are.
    settings
        Of the console.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        for name in ("files", "data"):
            (folder / name).mkdir(exist_ok=True)
        self.store = MemoryEventStore()
        self.letters = MemoryDeadLetters()
        self.people = MemoryPeople()
        self.facility = read_settings(
            instrument_data_path=folder / "files",
            data_path=folder / "data",
            state_path=folder / "state",
            instruments_file=folder / "instruments.toml",
        )
        self.url = f"sqlite:///{folder / 'read-model.db'}"
        self.app: Starlette = make_app(
            make_site(
                ServiceContext(
                    settings=self.facility,
                    store=self.store,
                    people=self.people,
                    dead_letters=self.letters,
                    jetstream=cast("JetStreamContext", AbsentBroker()),
                ),
                ConsoleSettings(**settings),
                Database(self.url),
                ArchiveDatabase(self.url),
            )
        )

    def client(self, **more: Any) -> TestClient:
        """Return a browser without JavaScript."""
        return TestClient(
            self.app, base_url=ADDRESS, follow_redirects=False, client=("127.0.0.1", 1234), **more
        )

    async def state(self, history: SessionHistory, events: Iterable[Event]) -> None:
        """Store events and project them."""
        for event in events:
            await history.tell(self.store, event)
        await (await open_read_model(self.store, Database(self.url))).catch_up()
        await (await open_archive(self.store, ArchiveDatabase(self.url))).catch_up()

    async def session(self, history: SessionHistory, name: str = "a", **booking: Any) -> None:
        """State a session with a record: one file that was read, and one that was not."""
        made = SessionEvents(name)
        user = await self.people.remember(
            "file", Person(username="ned", first_name="Ned", last_name="Land")
        )
        preview = write_artifact(self.facility.data_path, PREVIEW, b"\x89PNG")
        token = file_token(LOCATION, 1, 1)
        signal = Dataset(
            index=0,
            name="gold",
            dataset_type="Image",
            data_type="STEM_Imaging",
            creation_time=START,
            shape=(8, 8),
            metadata={"acceleration_voltage": {"value": 300.0, "unit": "kV"}},
            preview=preview,
        )
        await self.state(
            history,
            [
                made.started(user=user),
                made.matched(**{"title": "Gold <b>on</b> carbon", **booking}),
                made.ended(user=user),
                made.indexed(1, file=token, path=LOCATION),
                made.indexed(2),
                made.manifest(2),
                made.extracted(1, file=token, datasets=(signal,)),
                made.failed(2, reason="the header ends after 12 bytes"),
            ],
        )
        record = self.record(name)
        through = await self.store.last_sequence()
        built = made.built(through, record=record, title="Gold <b>on</b> carbon", failures=1)
        await self.state(history, [built, made.uploaded(record_sha256=record.sha256)])

    def record(self, name: str) -> ArtifactRef:
        """Write the record of a session."""
        experiment = Experiment(
            title="Gold <b>on</b> carbon",
            id=name,
            experimenters=("Ned Land (ned)",),
            instrument="FEI Titan TEM",
            activities=(
                Activity(
                    start=START.isoformat(),
                    setup=(Parameter("Acceleration Voltage", "300", "kV"),),
                    datasets=(
                        RecordDataset(
                            name="gold_1.dm3",
                            location=LOCATION,
                            type="Image",
                            previews=(PREVIEW,),
                            parameters=(Parameter("Vendor's own", "12.000000001"),),
                        ),
                    ),
                ),
            ),
        )
        return write_artifact(self.facility.records, f"{name}.xml", write_record(experiment))
