"""What a record says, read from its XML for those who show it to people."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from nexuslims_contracts.errors import MalformedXmlError
from nexuslims_contracts.xml import parse_xml
from nexuslims_uploader.errors import UnreadableRecordError

if TYPE_CHECKING:
    from lxml.etree import _Element

NAMESPACE: Final = "https://data.nist.gov/od/dm/nexus/experiment/v1.0"
_NS: Final = {"nx": NAMESPACE}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named value; ``unreliable`` where the vendor's software is known to fill it wrongly."""

    name: str
    value: str
    unit: str = ""
    unreliable: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """One signal of a file.

    ``location`` is relative to the instrument data path, ``previews`` to the data path, both
    without percent-encoding.
    """

    name: str
    location: str
    type: str = ""
    role: str = ""
    format: str = ""
    description: str = ""
    previews: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """Datasets acquired together, and the parameters they share; ``start`` is ISO 8601."""

    start: str = ""
    sample: str = ""
    setup: tuple[Parameter, ...] = ()
    notes: tuple[str, ...] = ()
    datasets: tuple[Dataset, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample, by name or reference."""

    id: str = ""
    ref: str = ""
    name: str = ""
    description: str = ""
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """A project, by name or reference."""

    id: str = ""
    ref: str = ""
    name: str = ""
    division: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A whole record; ``start`` and ``end`` are ISO 8601, empty if the record has none."""

    title: str = ""
    id: str = ""
    url: str = ""
    experimenters: tuple[str, ...] = ()
    collaborators: tuple[str, ...] = ()
    instrument: str = ""
    instrument_pid: str = ""
    start: str = ""
    end: str = ""
    motivation: str = ""
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()
    activities: tuple[Activity, ...] = ()
    notes: tuple[str, ...] = ()

    def datasets(self) -> Iterator[Dataset]:
        """All datasets, in the order of the record."""
        for activity in self.activities:
            yield from activity.datasets


def read_experiment(xml: bytes) -> Experiment:
    """Read a record.

    Parameters
    ----------
    xml
        A record in the Nexus Experiment schema, from whatever source: entities are not resolved
        and nothing is fetched.

    Raises
    ------
    UnreadableRecordError
        If it is not XML, or not an experiment.
    """
    try:
        root = parse_xml(xml)
    except MalformedXmlError as error:
        raise UnreadableRecordError(f"the record is not XML: {error}; build it again") from error
    if root.tag != f"{{{NAMESPACE}}}Experiment":
        raise UnreadableRecordError(f"the record is a {root.tag}, not an Experiment of {NAMESPACE}")
    return _experiment(root)


def _experiment(root: "_Element") -> Experiment:
    instrument = root.find("nx:summary/nx:instrument", _NS)
    summary = root.find("nx:summary", _NS)
    return Experiment(
        title=_text(root, "title"),
        id=_text(root, "id"),
        url=_attribute(summary, "ref"),
        experimenters=_texts(root, "summary/nx:experimenter"),
        collaborators=_texts(root, "summary/nx:collaborator"),
        instrument=_text(root, "summary/nx:instrument"),
        instrument_pid=_attribute(instrument, "pid"),
        start=_text(root, "summary/nx:reservationStart"),
        end=_text(root, "summary/nx:reservationEnd"),
        motivation=_text(root, "summary/nx:motivation"),
        samples=tuple(_sample(one) for one in root.iterfind("nx:sample", _NS)),
        projects=tuple(_project(one) for one in root.iterfind("nx:project", _NS)),
        activities=tuple(_activity(one) for one in root.iterfind("nx:acquisitionActivity", _NS)),
        notes=_notes(root),
    )


def _sample(element: "_Element") -> Sample:
    elements = element.find("nx:elements", _NS)
    return Sample(
        id=_attribute(element, "id"),
        ref=_attribute(element, "ref"),
        name=_text(element, "name"),
        description="\n".join(_texts(element, "description")),
        elements=tuple(
            child.tag.rpartition("}")[2] for child in (elements if elements is not None else ())
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


def _activity(element: "_Element") -> Activity:
    return Activity(
        start=_text(element, "startTime"),
        sample=_text(element, "sampleID"),
        setup=_parameters(element, "setup/nx:param"),
        notes=_notes(element),
        datasets=tuple(_dataset(one) for one in element.iterfind("nx:dataset", _NS)),
    )


def _dataset(element: "_Element") -> Dataset:
    return Dataset(
        name=_text(element, "name"),
        location=_relative(_text(element, "location")),
        type=_attribute(element, "type"),
        role=_attribute(element, "role"),
        format=_text(element, "format"),
        description="\n".join(_texts(element, "description")),
        previews=tuple(_relative(path) for path in _texts(element, "preview")),
        parameters=_parameters(element, "meta"),
    )


def _parameters(element: "_Element", path: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            name=_attribute(one, "name"),
            value=_content(one),
            unit=_attribute(one, "unit"),
            unreliable=_attribute(one, "warning") in ("true", "1"),
        )
        for one in element.iterfind(f"nx:{path}", _NS)
    )


def _notes(element: "_Element") -> tuple[str, ...]:
    return _texts(element, "notes/nx:entry/nx:p")


def _texts(element: "_Element", path: str) -> tuple[str, ...]:
    found = (_content(one) for one in element.iterfind(f"nx:{path}", _NS))
    return tuple(text for text in found if text)


def _text(element: "_Element", path: str) -> str:
    found = element.find(f"nx:{path}", _NS)
    return "" if found is None else _content(found)


def _content(element: "_Element") -> str:
    return "".join(map(str, element.itertext(with_tail=False))).strip()


def _attribute(element: "_Element | None", name: str) -> str:
    return "" if element is None else str(element.get(name, "")).strip()


def _relative(path: str) -> str:
    """Paths in a record are root-relative and percent-encoded."""
    return unquote(path).lstrip("/")
