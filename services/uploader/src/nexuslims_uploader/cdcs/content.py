"""What a record in CDCS is to contain: our record, and what people have added to it there.

CDCS keeps no versions, so nothing that a person wrote may be overwritten. Descriptions and
judgements of datasets are taken over. A change of anything else stops the upload, until the
operator decides. To tell a person's change from our own last one, the event of an upload keeps
digests of what was written.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from nexuslims_contracts.datasets import CuratedDataset
from nexuslims_contracts.errors import UnreadableRecordError
from nexuslims_contracts.record.curation import additions_to, curated, merged_additions, uncurated
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.writer import write_record
from nexuslims_uploader.destination import Holding, RecordToUpload

_MOST_TEXTS: Final = 500
_TOO_MANY: Final = "?"


@dataclass(frozen=True, slots=True)
class Written:
    """Digests of a record as it was written: of all, of its frame, of its descriptions.

    The frame is all but the descriptions and the judgements of datasets. ``texts`` has a short
    digest of each description of ours, or ``?`` if there are too many for an event. Digests are
    empty where they are not known, as of what earlier releases wrote.
    """

    whole: str = ""
    frame: str = ""
    descriptions: str = ""
    texts: str = ""

    @classmethod
    def of(
        cls, xml: str, experiment: Experiment, theirs: Collection[str] = frozenset()
    ) -> "Written":
        """Take the digests.

        Parameters
        ----------
        xml
            The record.
        experiment
            What it says.
        theirs
            Descriptions that are people's.
        """
        places = [(one.location, one.name, one.descriptions) for one in experiment.datasets()]
        texts = sorted({_short(t) for _, _, some in places for t in some if t not in theirs})
        frame = write_record(uncurated(experiment))
        return cls(
            whole=_sha256(xml.encode()),
            frame=_sha256(frame)[:32],
            descriptions=_sha256(repr(places).encode())[:32],
            texts=",".join(texts) if len(texts) <= _MOST_TEXTS else _TOO_MANY,
        )

    @classmethod
    def parse(cls, text: str) -> "Written":
        """Read what :meth:`__str__` gives, or only the first digest."""
        return cls(*text.split()[:4])

    def __str__(self) -> str:
        """The digests, for the event of the upload."""
        return f"{self.whole} {self.frame} {self.descriptions} {self.texts}".rstrip()

    def is_of(self, xml: str) -> bool:
        """Tell whether a record is exactly what was written."""
        return self.whole == _sha256(xml.encode())

    def has_text(self, text: str) -> bool:
        """Tell whether a description was in the record."""
        return _short(text) in self.texts.split(",")


@dataclass(frozen=True, slots=True)
class Content:
    """What to write.

    Parameters
    ----------
    xml
        The record.
    written
        Its digests.
    additions
        What people have added to it.
    """

    xml: str
    written: Written
    additions: tuple[CuratedDataset, ...]


@dataclass(frozen=True, slots=True)
class Edited:
    """People changed what cannot be taken over; ``what`` says what, for people."""

    what: str


def new_content(record: RecordToUpload) -> Content:
    """Return what a record is made with: it contains what people added to an earlier one."""
    return _content(record, record.additions)


def merged_content(record: RecordToUpload, there: str, written: Written | None) -> Content | Edited:
    """Return what a record is changed to.

    Parameters
    ----------
    record
        Our record.
    there
        The XML that is there.
    written
        What we wrote last; None if the events do not know.
    """
    if any(one.is_of(there) for one in (*([written] if written else []), *_former(record))):
        return _content(record, record.additions)
    try:
        theirs = read_record(there.encode())
    except UnreadableRecordError:
        if written is None or record.overwrite:
            return _content(record, record.additions)
        return Edited("what is there is no record any more")
    now = Written.of(there, theirs)
    if written is not None and now.frame != written.frame and not record.overwrite:
        ours = Written.of("", record.experiment)
        former = next((one for one in _former(record) if one.frame == now.frame), None)
        if now.frame != ours.frame and former is None:
            return Edited("more than descriptions and ratings of datasets")
        written = former or written
    return _content(record, _all_additions(record, record.experiment, theirs, written))


def compared(record: RecordToUpload, there: str, written: Written | None) -> Holding:
    """Compare what is there with our record: it, an older one of ours, or changed by people.

    Parameters
    ----------
    record
        Our record.
    there
        The XML that is there.
    written
        What we wrote last; None if the events do not know.
    """
    if written is not None and written.is_of(there):
        return "current"
    content = merged_content(record, there, written)
    if isinstance(content, Edited):
        return "changed"
    try:
        theirs = read_record(there.encode())
    except UnreadableRecordError:
        return "outdated"
    return "current" if Written.of(there, theirs).frame == content.written.frame else "outdated"


def additions_there(
    record: RecordToUpload, there: str, written: Written | None
) -> tuple[CuratedDataset, ...] | None:
    """Return what people have added to a record that is about to be deleted.

    Parameters
    ----------
    record
        Our record; without content if its file cannot be read any more.
    there
        The XML that is there.
    written
        What we wrote last; None if the events do not know.

    Returns
    -------
    tuple or None
        None if nobody can tell: what is there is no record, or ours is gone and the event of its
        upload does not say what it contained.
    """
    try:
        theirs = read_record(there.encode())
    except UnreadableRecordError:
        return None
    now = Written.of(there, theirs)
    if record.xml:
        ours = record.experiment
    elif written is not None and written.descriptions == now.descriptions:
        ours = theirs
    elif written is not None and written.descriptions and written.texts != _TOO_MANY:
        ours = uncurated(theirs)  # which of its texts were ours is known by their digests
    else:
        return None
    return _all_additions(record, ours, theirs, written)


def _former(record: RecordToUpload) -> list[Written]:
    """Return what we wrote there before, newest first."""
    return [Written.parse(one) for one in reversed(record.former)]


def _all_additions(
    record: RecordToUpload, ours: Experiment, theirs: Experiment, written: Written | None
) -> tuple[CuratedDataset, ...]:
    """Put together what people added here and, since our last upload, elsewhere."""
    same = record.last_additions is None
    before = record.additions if same else record.last_additions or ()
    now = Written.of("", theirs)
    here = additions_to(
        ours,
        theirs,
        before,
        descriptions=written is None or now.descriptions != written.descriptions,
        is_former_remark=written.has_text if written else lambda _: False,
    )
    return here if same else merged_additions(before, here, record.additions)


def _content(record: RecordToUpload, additions: tuple[CuratedDataset, ...]) -> Content:
    experiment = curated(record.experiment, additions, judgements=True)
    same = experiment == record.experiment
    xml = record.xml.decode() if same else write_record(experiment).decode()
    theirs = {text for one in additions for text in one.descriptions}
    return Content(xml, Written.of(xml, experiment, theirs), additions)


def _short(text: str) -> str:
    return _sha256(text.encode())[:8]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
