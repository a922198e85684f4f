"""Reading records: our own, the incumbent's, and what people made of either in CDCS."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from nexuslims_contracts.errors import MalformedXmlError, UnreadableRecordError
from nexuslims_contracts.record import NAMESPACE, ROOT, XSI
from nexuslims_contracts.record.model import (
    Activity,
    Cell,
    Column,
    Curation,
    Dataset,
    Entry,
    Experiment,
    ImageEntry,
    Notes,
    Parameter,
    Project,
    Sample,
    Table,
    TableEntry,
    TextEntry,
)
from nexuslims_contracts.xml import parse_xml

if TYPE_CHECKING:
    from lxml.etree import _Element

_NS: Final = {"nx": NAMESPACE}


@dataclass(frozen=True, slots=True)
class RecordPart:
    """A record with some of its datasets, and how many each activity has in all."""

    experiment: Experiment
    sizes: tuple[int, ...]


def read_record(xml: bytes) -> Experiment:
    """Read a record.

    Parameters
    ----------
    xml
        A record in the Nexus Experiment schema, from whatever source: entities are not resolved
        and nothing is fetched. Leading and trailing blanks of texts are left out.

    Raises
    ------
    UnreadableRecordError
        If it is not XML, or not an experiment.
    """
    root = _root(xml)
    return _experiment(root, tuple(map(_activity, _activities(root))))


def read_part(xml: bytes, numbers: range) -> RecordPart:
    """Read a record with some of its datasets only, which of a large one takes far less time.

    Parameters
    ----------
    xml
        As for :func:`read_record`.
    numbers
        Which datasets, counted through all activities from 0, without steps.

    Raises
    ------
    UnreadableRecordError
        If it is not XML, or not an experiment.
    """
    root = _root(xml)
    activities: list[Activity] = []
    sizes: list[int] = []
    for one in _activities(root):
        datasets, before = _datasets(one), sum(sizes)
        wanted = datasets[max(numbers.start - before, 0) : max(numbers.stop - before, 0)]
        activities.append(_activity(one, wanted))
        sizes.append(len(datasets))
    return RecordPart(_experiment(root, tuple(activities)), tuple(sizes))


def read_locations(xml: bytes) -> tuple[tuple[str, ...], ...]:
    """Return the location of each dataset, by activity; nothing else of the record is read.

    Parameters
    ----------
    xml
        As for :func:`read_record`.

    Raises
    ------
    UnreadableRecordError
        If it is not XML, or not an experiment.
    """
    return tuple(
        tuple(_relative(_text(one, "location")) for one in _datasets(activity))
        for activity in _activities(_root(xml))
    )


def _root(xml: bytes) -> "_Element":
    try:
        root = parse_xml(xml)
    except MalformedXmlError as error:
        raise UnreadableRecordError(f"the record is not XML: {error}; build it again") from error
    if root.tag != ROOT:
        raise UnreadableRecordError(f"the record is a {root.tag}, not an Experiment of {NAMESPACE}")
    return root


def _activities(root: "_Element") -> list["_Element"]:
    return root.findall("nx:acquisitionActivity", _NS)


def _datasets(activity: "_Element") -> list["_Element"]:
    return activity.findall("nx:dataset", _NS)


def _experiment(root: "_Element", activities: tuple[Activity, ...]) -> Experiment:
    instrument = root.find("nx:summary/nx:instrument", _NS)
    summary = root.find("nx:summary", _NS)
    return Experiment(
        title=_text(root, "title"),
        id=_text(root, "id"),
        pid=_attribute(root, "pid"),
        url=_attribute(summary, "ref"),
        experimenters=_texts(root, "summary/nx:experimenter"),
        collaborators=_texts(root, "summary/nx:collaborator"),
        instrument=_text(root, "summary/nx:instrument"),
        instrument_pid=_attribute(instrument, "pid"),
        instrument_ref=_attribute(instrument, "ref"),
        start=_text(root, "summary/nx:reservationStart"),
        end=_text(root, "summary/nx:reservationEnd"),
        motivation=_text(root, "summary/nx:motivation"),
        samples=tuple(_sample(one) for one in root.iterfind("nx:sample", _NS)),
        projects=tuple(_project(one) for one in root.iterfind("nx:project", _NS)),
        activities=activities,
        notes=_notes(root),
    )


def _sample(element: "_Element") -> Sample:
    return Sample(
        id=_attribute(element, "id"),
        ref=_attribute(element, "ref"),
        name=_text(element, "name"),
        descriptions=_texts(element, "description"),
        notes=_notes(element),
        elements=tuple(
            str(child.tag).rpartition("}")[2] for child in element.iterfind("nx:elements/*", _NS)
        ),
    )


def _project(element: "_Element") -> Project:
    return Project(
        id=_text(element, "project_id"),
        ref=_text(element, "ref"),
        name=_text(element, "name"),
        division=_text(element, "division"),
        group=_text(element, "group"),
    )


def _activity(element: "_Element", datasets: "list[_Element] | None" = None) -> Activity:
    """Read an activity, with all its datasets unless some are given."""
    return Activity(
        start=_text(element, "startTime"),
        sample=_text(element, "sampleID"),
        setup=_parameters(element, "setup/nx:param"),
        notes=_notes(element),
        datasets=tuple(map(_dataset, _datasets(element) if datasets is None else datasets)),
    )


def _dataset(element: "_Element") -> Dataset:
    curation = element.find("nx:curation", _NS)
    return Dataset(
        name=_text(element, "name"),
        location=_relative(_text(element, "location")),
        type=_attribute(element, "type"),
        role=_attribute(element, "role"),
        format=_text(element, "format"),
        descriptions=_texts(element, "description"),
        previews=tuple(_relative(path) for path in _texts(element, "preview")),
        parameters=_parameters(element, "meta"),
        curation=None if curation is None else _curation(curation),
    )


def _curation(element: "_Element") -> Curation:
    """Read a judgement; a rating that is no number counts as none."""
    rating, featured = _text(element, "rating"), _text(element, "featured")
    return Curation(
        rating=int(rating) if rating.isdecimal() else None,
        featured=_is_true(featured) if featured else None,
    )


def _parameters(element: "_Element", path: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            name=_attribute(one, "name"),
            value=_content(one),
            unit=_attribute(one, "unit"),
            unreliable=_is_true(_attribute(one, "warning")),
        )
        for one in element.iterfind(f"nx:{path}", _NS)
    )


def _notes(element: "_Element") -> tuple[Notes, ...]:
    return tuple(
        Notes(
            entries=tuple(_entry(entry) for entry in one.iterfind("nx:entry", _NS)),
            source=_attribute(one, "source"),
        )
        for one in element.iterfind("nx:notes", _NS)
    )


def _entry(element: "_Element") -> Entry:
    """Read a piece of notes; its kind stands in ``xsi:type``, behind whatever prefix."""
    match _attribute(element, f"{{{XSI}}}type").rpartition(":")[2]:
        case "ImageEntry":
            return ImageEntry(_texts(element, "imageURL"))
        case "TableEntry":
            return TableEntry(tuple(_table(one) for one in element.iterfind("nx:table", _NS)))
        case _:
            return TextEntry(_texts(element, "p"))


def _table(element: "_Element") -> Table:
    return Table(
        title=_text(element, "title"),
        columns=tuple(
            Column(_attribute(one, "id"), _content(one))
            for one in element.iterfind("nx:header/nx:column", _NS)
        ),
        rows=tuple(
            tuple(
                Cell(_attribute(one, "colid"), _content(one))
                for one in row.iterfind("nx:cell", _NS)
            )
            for row in element.iterfind("nx:rows/nx:row", _NS)
        ),
    )


def _texts(element: "_Element", path: str) -> tuple[str, ...]:
    found = (_content(one) for one in element.iterfind(f"nx:{path}", _NS))
    return tuple(text for text in found if text)


def _text(element: "_Element", path: str) -> str:
    found = element.find(f"nx:{path}", _NS)
    return "" if found is None else _content(found)


def _content(element: "_Element") -> str:
    if not len(element):  # as nearly all: text without anything in it
        return (element.text or "").strip()
    return "".join(map(str, element.itertext(with_tail=False))).strip()


def _attribute(element: "_Element | None", name: str) -> str:
    return "" if element is None else str(element.get(name, "")).strip()


def _is_true(text: str) -> bool:
    return text in ("true", "1")


def _relative(path: str) -> str:
    """Paths in a record are root-relative and percent-encoded."""
    return unquote(path).lstrip("/")
