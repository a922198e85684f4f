"""What every destination must do, as tests to inherit; and a destination that fails on demand.

A plugin's tests inherit :class:`DestinationBehaviour` and give it two fixtures: ``destination``,
the destination under test, and ``held``, what it holds: a function that returns, by session, the
bytes of every record it can find there.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from nexuslims_contracts.events import Instrument
from nexuslims_contracts.identifiers import is_token
from nexuslims_uploader.destination import Destination, RecordToUpload, UploadResult
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError
from nexuslims_uploader.experiment import NAMESPACE, read_experiment

Held: TypeAlias = Callable[[], Mapping[str, Sequence[bytes]]]
Fault: TypeAlias = Literal["away", "refuses", "crashes after accepting", "is faulty"]

HOSTILE: Final = """"><script>alert('1')</script> & {{ 7 * 7 }} \u202e Ω 🔬"""
"""A title that breaks whoever pastes it into HTML, a template or a query."""

_ZONE: Final = "America/Denver"
_START: Final = datetime(2018, 11, 13, 9, tzinfo=ZoneInfo(_ZONE))


def small_record_xml(title: str = "A title", *, datasets: int = 1) -> bytes:
    """Write a small valid record by hand.

    Parameters
    ----------
    title
        Its title; also used for the experimenter and the motivation.
    datasets
        How many it has, in one activity, each with a preview.
    """
    text = escape(title)
    parts = "".join(_dataset_xml(number) for number in range(datasets))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Experiment xmlns="{NAMESPACE}">'
        f'<title>{text}</title><id>204</id><summary ref="https://calendar.example.org/204">'
        f'<experimenter>{text}</experimenter><instrument pid="FEI-Titan-TEM">FEI Titan TEM'
        "</instrument><reservationStart>2018-11-13T09:00:00-07:00</reservationStart>"
        "<reservationEnd>2018-11-13T12:00:00-07:00</reservationEnd>"
        f"<motivation>{text}</motivation></summary>"
        '<acquisitionActivity seqno="0"><startTime>2018-11-13T09:30:00-07:00</startTime>'
        '<setup><param name="Acceleration Voltage" unit="kV">300.0</param></setup>'
        f"{parts}</acquisitionActivity></Experiment>\n"
    ).encode()


def _dataset_xml(number: int) -> str:
    path = f"/Titan_TEM/A%20user/{number:05}.dm3"
    return (
        f'<dataset type="Image" role="Experimental"><name>{number:05}.dm3</name>'
        f"<location>{path}</location><preview>{path}.thumb.png</preview>"
        f'<meta name="Magnification">{number}</meta>'
        '<meta name="Stage X" unit="µm" warning="true">1.5</meta></dataset>'
    )


def record_to_upload(
    xml: bytes | None = None,
    *,
    session: str = "file-1",
    file_name: str = "2018-11-13_FEI-Titan-TEM_204.xml",
) -> RecordToUpload:
    """Make a record on its way, of a session of three hours on an instrument in Denver."""
    content = small_record_xml() if xml is None else xml
    return RecordToUpload(
        session=session,
        xml=content,
        sha256=hashlib.sha256(content).hexdigest(),
        artifact=Path("records", file_name),
        experiment=read_experiment(content),
        instrument=Instrument(
            pid="FEI-Titan-TEM", name="FEI Titan TEM", timezone=_ZONE, filestore="Titan_TEM"
        ),
        start=_START,
        end=_START + timedelta(hours=3),
    )


class DestinationBehaviour:
    """What a destination must do; ``previous`` is what the events say, and they may say less."""

    def test_its_name_can_stand_in_a_subject(self, destination: Destination) -> None:
        """Settings and events name it."""
        assert is_token(destination.name)

    async def test_it_has_nothing_to_complain_of(self, destination: Destination) -> None:
        """A destination that works says so."""
        assert await destination.check() == []

    async def test_it_holds_the_bytes(self, destination: Destination, held: Held) -> None:
        """A record arrives as it is."""
        record = record_to_upload(small_record_xml("Körner μ"))
        result = await destination.upload(record, {})
        assert result.record_id
        assert held() == {record.session: [record.xml]}

    async def test_the_same_record_twice_is_one(self, destination: Destination, held: Held) -> None:
        """Also when the first upload was not told: a crash came between."""
        record = record_to_upload()
        first = await destination.upload(record, {})
        assert await destination.upload(record, {}) == first
        assert await destination.upload(record, {destination.name: first}) == first
        assert held() == {record.session: [record.xml]}

    async def test_a_rebuilt_record_replaces_the_old_one(
        self, destination: Destination, held: Held
    ) -> None:
        """Whether the events know of the old one or not."""
        first = await destination.upload(record_to_upload(small_record_xml("One")), {})
        second = record_to_upload(small_record_xml("Two"))
        again = await destination.upload(second, {destination.name: first})
        assert again.record_id == first.record_id
        assert held() == {second.session: [second.xml]}
        third = record_to_upload(small_record_xml("Three"))
        await destination.upload(third, {})
        assert held() == {third.session: [third.xml]}

    async def test_a_record_under_a_new_name_replaces_the_old_one(
        self, destination: Destination, held: Held
    ) -> None:
        """A revised session may begin on another day, and the file's name holds the day."""
        first = await destination.upload(record_to_upload(), {})
        moved = record_to_upload(
            small_record_xml("B"), file_name="2018-11-14_FEI-Titan-TEM_204.xml"
        )
        await destination.upload(moved, {destination.name: first})
        assert held() == {moved.session: [moved.xml]}

    async def test_two_sessions_with_one_title_are_two(
        self, destination: Destination, held: Held
    ) -> None:
        """A title says nothing about which record it is."""
        one = record_to_upload(session="file-1", file_name="2018-11-13_FEI-Titan-TEM_1.xml")
        two = record_to_upload(session="file-2", file_name="2018-11-13_FEI-Titan-TEM_2.xml")
        ids = {(await destination.upload(record, {})).record_id for record in (one, two)}
        assert len(ids) == 2
        assert held() == {"file-1": [one.xml], "file-2": [two.xml]}

    async def test_a_hostile_title_is_only_a_title(
        self, destination: Destination, held: Held
    ) -> None:
        """What people write is text, wherever it goes."""
        record = record_to_upload(small_record_xml(HOSTILE))
        await destination.upload(record, {})
        await destination.upload(record, {})
        assert held() == {record.session: [record.xml]}

    async def test_it_links_to_others_or_not(self, destination: Destination, held: Held) -> None:
        """What other destinations say does not change what this one holds."""
        record = record_to_upload()
        others = {"elsewhere": UploadResult("17", "https://elsewhere.example.org/17?a=1&b=<2>")}
        await destination.upload(record, others)
        assert held() == {record.session: [record.xml]}


class Crash(BaseException):
    """The process dies here."""


@dataclass(slots=True)
class FakeDestination:
    """A destination in memory.

    Parameters
    ----------
    name, priority
        As of every destination.
    faults
        How the next calls fail, one after the other; then it works.
    retry_after
        What it asks for when it is away.
    """

    name: str = "fake"
    priority: int = 100
    faults: list[Fault] = field(default_factory=list)
    retry_after: timedelta | None = None
    records: dict[str, bytes] = field(default_factory=dict)
    calls: list[tuple[RecordToUpload, dict[str, UploadResult]]] = field(default_factory=list)
    closed: bool = False

    async def check(self) -> list[str]:
        """Complain while there are faults left."""
        return [f"{self.name} {fault}" for fault in self.faults]

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Take the record, or fail as it was told to."""
        self.calls.append((record, dict(previous)))
        fault = self.faults.pop(0) if self.faults else None
        where = {"destination": self.name, "session": record.session}
        if fault == "away":
            raise TransientUploadError(
                "no answer", remedy="wait", retry_after=self.retry_after, **where
            )
        if fault == "refuses":
            raise PermanentUploadError("not wanted", remedy="change it", **where)
        if fault == "is faulty":
            raise ZeroDivisionError
        self.records[record.session] = record.xml
        if fault == "crashes after accepting":
            raise Crash
        return UploadResult(record.session, f"https://{self.name}.example.org/{record.session}")

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
