"""A destination in memory that fails on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias

from nexuslims_uploader.destination import Holding, RecordToUpload, UploadResult
from nexuslims_uploader.errors import PermanentUploadError, TransientUploadError

Fate: TypeAlias = Literal["away", "refuses", "crashes after accepting", "is faulty"]


class Crash(BaseException):
    """The process dies here."""


@dataclass(slots=True)
class FakeDestination:
    """A destination in memory.

    Parameters
    ----------
    name, priority, one_at_a_time
        As of every destination.
    faults
        How the next calls fail, one after the other; then it works.
    retry_after
        What it asks for when it is away.
    """

    name: str = "fake"
    priority: int = 100
    faults: list[Fate] = field(default_factory=list)
    retry_after: timedelta | None = None
    records: dict[str, bytes] = field(default_factory=dict)
    calls: list[tuple[RecordToUpload, dict[str, UploadResult]]] = field(default_factory=list)
    withdrawals: list[RecordToUpload] = field(default_factory=list)
    closed: bool = False
    one_at_a_time: bool = False

    async def check(self) -> list[str]:
        """Complain while there are faults left."""
        return [f"{self.name} {fault}" for fault in self.faults]

    async def upload(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> UploadResult:
        """Take the record, or fail as it was told to.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        self.calls.append((record, dict(previous)))
        fault = self._fail(record)
        self.records[record.session] = record.xml
        if fault == "crashes after accepting":
            raise Crash
        return UploadResult(record.session, f"https://{self.name}.example.org/{record.session}")

    async def inspect(
        self, record: RecordToUpload, previous: Mapping[str, UploadResult]
    ) -> Holding:
        """Tell whether it has the record.

        Parameters
        ----------
        record
            The record.
        previous
            Not used.
        """
        del previous
        self._fail(record)
        there = self.records.get(record.session)
        return "missing" if there is None else "current" if there == record.xml else "changed"

    async def withdraw(self, record: RecordToUpload, previous: Mapping[str, UploadResult]) -> None:
        """Let go of the record, or fail as it was told to.

        Parameters
        ----------
        record
            The record.
        previous
            Where the session's record is by what the events say, by destination.
        """
        del previous
        self.withdrawals.append(record)
        fault = self._fail(record)
        self.records.pop(record.session, None)
        if fault == "crashes after accepting":
            raise Crash

    def _fail(self, record: RecordToUpload) -> Fate | None:
        """Fail before anything is done; returns how to fail afterwards."""
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
        return fault

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
