"""The description of an export: the RO-Crate of an ``.eln`` file.

RO-Crate 1.1 as the ELN Consortium narrows it: one folder, flat nodes, ``contentSize`` and
``keywords`` as text, every ``@id`` once.
https://github.com/TheELNConsortium/TheELNFileFormat/blob/master/SPECIFICATION.md
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, Final

from nexuslims_console.export.members import Member
from nexuslims_console.export.settings import ExportSettings
from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.text import page_text

METADATA_FILE: Final = "ro-crate-metadata.json"
_SPECIFICATION: Final = "https://w3id.org/ro/crate/1.1"
_PUBLISHER: Final = "#facility"
_SOFTWARE: Final = "#nexuslims"
_PERSON: Final = re.compile(r"^(?P<name>.*?)\s*\((?P<username>[^()]*)\)$")

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A member as it stands in the export.

    Parameters
    ----------
    member
        The file.
    size
        Bytes.
    sha256
        Of its content, in hexadecimal.
    """

    member: Member
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Exported:
    """A session, as an export describes it.

    Parameters
    ----------
    session
        Its name.
    experiment
        What its record says.
    start, end
        When it was.
    orcids
        Addresses of people's ORCID iDs, by user name.
    """

    session: str
    experiment: Experiment
    start: datetime
    end: datetime
    orcids: Mapping[str, str] = field(default_factory=dict)


def describe(
    exported: Exported, written: Sequence[Written], facility: ExportSettings, version: str
) -> Node:
    """Return the RO-Crate of a session, ready to be written as JSON.

    Parameters
    ----------
    exported
        The session.
    written
        Its files.
    facility
        Who publishes it.
    version
        Of this software.
    """
    people = _people(exported)
    values = list(_values(exported.experiment))
    files = [_file(exported.session, one) for one in written]
    graph = [
        _descriptor(exported, facility, version),
        _root(exported, facility),
        _dataset(exported, people, files, values),
        *files,
        *people,
        *values,
        _publisher(facility),
        {
            "@id": _SOFTWARE,
            "@type": "SoftwareApplication",
            "name": "NexusLIMS",
            "version": version,
        },
    ]
    return {"@context": f"{_SPECIFICATION}/context", "@graph": graph}


def _descriptor(exported: Exported, facility: ExportSettings, version: str) -> Node:
    return {
        "@id": METADATA_FILE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _SPECIFICATION},
        "dateCreated": exported.end.isoformat(),
        "sdPublisher": _reference(_publisher(facility)),
        "version": version,
    }


def _root(exported: Exported, facility: ExportSettings) -> Node:
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": _title(exported),
        "description": f"A session at {exported.experiment.instrument}, with its record",
        "datePublished": exported.end.isoformat(),
        "publisher": _reference(_publisher(facility)),
        "hasPart": [{"@id": _folder(exported.session)}],
    }
    return {**root, "license": {"@id": facility.license}} if facility.license else root


def _dataset(
    exported: Exported, people: Sequence[Node], files: Sequence[Node], values: Sequence[Node]
) -> Node:
    experiment = exported.experiment
    node: Node = {
        "@id": _folder(exported.session),
        "@type": "Dataset",
        "name": _title(exported),
        "identifier": exported.session,
        "dateCreated": exported.start.isoformat(),
        "dateModified": exported.end.isoformat(),
        "text": _text(experiment),
        "keywords": ", ".join(_keywords(experiment)),
        "genre": "experiment",
        "hasPart": [_reference(one) for one in files],
        "variableMeasured": [_reference(one) for one in values],
    }
    if people:
        node["author"] = _reference(people[0])
    if people[1:]:
        node["contributor"] = [_reference(one) for one in people[1:]]
    if experiment.url.startswith(("https://", "http://")):
        node["url"] = experiment.url
    return node


def _file(session: str, written: Written) -> Node:
    member = written.member
    return {
        "@id": f"{_folder(session)}{member.path}",
        "@type": "File",
        "name": member.original.rpartition("/")[2],
        "alternateName": member.original,
        "description": member.description,
        "encodingFormat": member.media_type,
        "contentSize": str(written.size),
        "sha256": written.sha256,
    }


def _people(exported: Exported) -> list[Node]:
    experiment = exported.experiment
    names = dict.fromkeys((*experiment.experimenters, *experiment.collaborators))
    nodes = [_person(number, name, exported.orcids) for number, name in enumerate(names, 1)]
    return list({node["@id"]: node for node in reversed(nodes)}.values())[::-1]


def _person(number: int, text: str, orcids: Mapping[str, str]) -> Node:
    """Return a person's node; the record names people as ``First Last (username)``."""
    found = _PERSON.match(text)
    name = found["name"] if found and found["name"] else text
    orcid = orcids.get(found["username"] if found else text, "")
    given, _, family = name.rpartition(" ")
    node = {"@id": orcid or f"#person-{number}", "@type": "Person", "name": name}
    node |= {"identifier": orcid} if orcid else {}
    return {**node, "givenName": given, "familyName": family} if given else node


def _values(experiment: Experiment) -> Iterator[Node]:
    """Give what the datasets of each activity share, by the name ``activity.<n>.<parameter>``."""
    for number, activity in enumerate(experiment.activities):
        for place, parameter in enumerate(activity.setup):
            node = {
                "@id": f"#activity-{number}-parameter-{place}",
                "@type": "PropertyValue",
                "propertyID": f"activity.{number}.{parameter.name}",
                "name": parameter.name,
                "value": parameter.value,
            }
            yield {**node, "unitText": parameter.unit} if parameter.unit else node


def _publisher(facility: ExportSettings) -> Node:
    node = {"@id": facility.ror or _PUBLISHER, "@type": "Organization", "name": facility.name}
    if facility.url:
        node["url"] = facility.url
    return {**node, "identifier": facility.ror} if facility.ror else node


def _text(experiment: Experiment) -> str:
    """Return the session's description for people, as HTML."""
    rows = [("Instrument", experiment.instrument), ("Motivation", experiment.motivation)]
    rows += [
        ("Sample", ": ".join(filter(None, (sample.name, *sample.descriptions))))
        for sample in experiment.samples
    ]
    rows += [("Project", project.name or project.id) for project in experiment.projects]
    lines = [
        f"<li>{escape(name)}: {escape(page_text(value))}</li>" for name, value in rows if value
    ]
    notes = [text for note in experiment.notes for text in note.paragraphs]
    return f"<ul>{''.join(lines)}</ul>" + "".join(
        f"<p>{escape(page_text(text))}</p>" for text in notes
    )


def _keywords(experiment: Experiment) -> list[str]:
    samples = experiment.samples
    words = [experiment.instrument, *(one.name for one in samples)]
    words += [element for one in samples for element in one.elements]
    words += [one.type for one in experiment.datasets()]
    return list(dict.fromkeys(word.replace(",", " ") for word in words if word))


def _title(exported: Exported) -> str:
    return exported.experiment.title or exported.session


def _folder(session: str) -> str:
    return f"./{session}/"


def _reference(node: Node) -> Node:
    return {"@id": node["@id"]}
