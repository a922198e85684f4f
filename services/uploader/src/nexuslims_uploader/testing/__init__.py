"""What the author of a destination tests it with.

A plugin's tests inherit :class:`DestinationBehaviour` and give it two fixtures: ``destination``,
the destination under test, and ``held``, what it holds: a function that returns, by session, the
bytes of every record it can find there. What stands for the far side is a :class:`FakeServer` on
the loopback interface that fails on demand.
"""

from nexuslims_uploader.testing.behaviour import (
    DestinationBehaviour,
    Edit,
    EditableDestinationBehaviour,
    Held,
    Remarks,
)
from nexuslims_uploader.testing.fake import Crash, FakeDestination
from nexuslims_uploader.testing.records import HOSTILE, record_to_upload, small_record_xml
from nexuslims_uploader.testing.server import (
    FAULTS,
    Answer,
    FakeServer,
    Fault,
    Request,
)

__all__ = [
    "FAULTS",
    "HOSTILE",
    "Answer",
    "Crash",
    "DestinationBehaviour",
    "Edit",
    "EditableDestinationBehaviour",
    "FakeDestination",
    "FakeServer",
    "Fault",
    "Held",
    "Remarks",
    "Request",
    "record_to_upload",
    "small_record_xml",
]
