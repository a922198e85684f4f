"""The XML record of a session, in the Nexus Experiment schema.

Nothing in it comes from a clock or from chance: the same input gives the same bytes. lxml escapes
text once; characters that XML cannot hold become U+FFFD; a text that reads as no finite number,
like ``NaN``, is put in brackets, for CDCS refuses a record that holds one as a value.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from lxml import etree

from nexuslims_builder.clustering import cluster
from nexuslims_builder.model import FileInput, ProjectInput, RecordInput, SampleInput
from nexuslims_builder.parameters import Parameter, parameters_of, separate
from nexuslims_contracts.datasets import Dataset
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.record import CHEMICAL_ELEMENTS, NAMESPACE
from nexuslims_contracts.xml import parse_xml

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]{1,5})?")
_NOT_FILE_NAME = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a record holds."""

    activities: int
    datasets: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A dataset element in the making: a signal of a file, or a file that could not be read."""

    file: FileInput
    dataset: Dataset | None
    parameters: list[Parameter]


def build_record(record: RecordInput, *, sensitivity: float = 1.0, method: str = "kde") -> bytes:
    """Write the record of a session.

    Parameters
    ----------
    record
        What it is made of.
    sensitivity, method
        How its files are clustered into activities; see :mod:`nexuslims_builder.clustering`.

    Returns
    -------
    bytes
        UTF-8 XML with its declaration.
    """
    prefixes: dict[str | None, str] = {None: NAMESPACE, "xsi": XSI, "nx": NAMESPACE}
    root = etree.Element(_tag("Experiment"), nsmap=prefixes)  # type: ignore[arg-type]
    _add(root, "title", record.title)
    _add(root, "id", record.event_id)
    _add_summary(root, record)
    for sample in record.samples:
        _add_sample(root, sample)
    for project in record.projects:
        _add_project(root, project)
    files = sorted(record.files, key=lambda file: (file.mtime, file.path))
    clusters = cluster([file.mtime for file in files], sensitivity=sensitivity, method=method)
    for number, indices in enumerate(clusters.activities):
        _add_activity(root, number, [files[index] for index in indices], record)
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return content


def summarise(content: bytes) -> Counts:
    """Count the activities and datasets of a record that was just written."""
    root = parse_xml(content)
    return Counts(
        activities=len(root.findall(_tag("acquisitionActivity"))),
        datasets=len(root.findall(f".//{_tag('dataset')}")),
    )


def file_name(record: RecordInput) -> str:
    """Name of the record's file: ``<start date>_<instrument>_<event id>.xml``.

    What cannot stand in a file's name is replaced; a digest then keeps two sessions apart.
    """
    wished = f"{record.session_start:%Y-%m-%d}_{record.instrument_pid}_{record.event_id}"
    name = _NOT_FILE_NAME.sub("_", wished)[:150]
    return f"{name}.xml" if name == wished else f"{name}_{digest([record.session])[:8]}.xml"


def _add_summary(root: etree._Element, record: RecordInput) -> None:
    summary = _add(root, "summary")
    if record.url:
        summary.set("ref", _uri(record.url))
    for name in record.experimenters:
        _add(summary, "experimenter", name)
    for name in record.collaborators:
        _add(summary, "collaborator", name)
    instrument = _add(summary, "instrument", record.instrument_name)
    instrument.set("pid", _clean(record.instrument_pid))
    _add(summary, "reservationStart", record.start.isoformat())
    _add(summary, "reservationEnd", record.end.isoformat())
    if record.motivation:
        _add(summary, "motivation", record.motivation)


def _add_sample(root: etree._Element, sample: SampleInput) -> None:
    element = _add(root, "sample")
    element.set("id", _clean(sample.id))
    if sample.ref:
        element.set("ref", _clean(sample.ref))
    if sample.name:
        _add(element, "name", sample.name)
    if sample.description:
        _add(element, "description", sample.description)
    known = [symbol for symbol in CHEMICAL_ELEMENTS if symbol in sample.elements]
    strange = [symbol for symbol in sample.elements if symbol not in CHEMICAL_ELEMENTS]
    if strange:
        _add(element, "description", f"Not in the periodic table: {', '.join(strange)}")
    if known:
        holder = _add(element, "elements")
        for symbol in known:
            _add(holder, symbol)


def _add_project(root: etree._Element, project: ProjectInput) -> None:
    element = _add(root, "project")
    for name in ("name", "division", "group", "project_id"):
        if text := getattr(project, name):
            _add(element, name, text)
    if project.ref:
        _add(element, "ref", _uri(project.ref))


def _add_activity(
    root: etree._Element, number: int, files: list[FileInput], record: RecordInput
) -> None:
    element = _add(root, "acquisitionActivity")
    element.set("seqno", str(number))
    start = datetime.fromtimestamp(files[0].mtime, ZoneInfo(record.timezone))
    _add(element, "startTime", start.isoformat())
    if record.samples:
        _add(element, "sampleID", record.samples[0].id)
    entries = [entry for file in files for entry in _entries(file)]
    read = [entry for entry in entries if entry.dataset is not None]
    setup, rest = separate([entry.parameters for entry in read])
    if setup:
        _add_parameters(_add(element, "setup"), "param", setup)
    unique = iter(rest)
    for entry in entries:
        _add_dataset(element, entry, next(unique) if entry.dataset is not None else [])


def _entries(file: FileInput) -> list[_Entry]:
    if not file.datasets:
        return [_Entry(file, None, [])]
    return [
        _Entry(file, dataset, parameters_of(dataset, file.extractor)) for dataset in file.datasets
    ]


def _add_dataset(activity: etree._Element, entry: _Entry, parameters: list[Parameter]) -> None:
    file, dataset = entry.file, entry.dataset
    element = _add(activity, "dataset")
    element.set("type", dataset.dataset_type if dataset else "Unknown")
    element.set("role", "Experimental")
    _add(element, "name", _dataset_name(file, dataset))
    _add(element, "location", _url(file.path))
    if file.failure:
        said = "Not all of this file could be read" if dataset else "This file could not be read"
        _add(element, "description", f"{said}: {file.failure}")
    if dataset and dataset.preview:
        _add(element, "preview", _url(dataset.preview.path))
    _add_parameters(element, "meta", parameters)


def _dataset_name(file: FileInput, dataset: Dataset | None) -> str:
    name = file.path.rpartition("/")[2]
    count = len(file.datasets)
    return f"{name} ({dataset.index + 1} of {count})" if dataset and count > 1 else name


def _add_parameters(parent: etree._Element, tag: str, parameters: list[Parameter]) -> None:
    for parameter in parameters:
        element = _add(parent, tag, parameter.value)
        element.set("name", _clean(parameter.name))
        if parameter.unit:
            element.set("unit", _clean(parameter.unit))
        if parameter.warning:
            element.set("warning", "true")


def _add(parent: etree._Element, name: str, text: str = "") -> etree._Element:
    element = etree.SubElement(parent, _tag(name))
    if text:
        element.text = _clean(text)
    return element


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _clean(text: str) -> str:
    """Make what a record cannot hold visible: see this module."""
    held = _NOT_XML.sub("\ufffd", text)  # XML 1.0, section 2.2, Char
    return f"[{held.strip()}]" if _is_not_finite(held) else held


def _is_not_finite(text: str) -> bool:
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return False


def _uri(text: str) -> str:
    """Make an anyURI of a text: a web address stays one, anything else is quoted whole."""
    text = _clean(text)
    try:
        parts = urlsplit(text)
    except ValueError:  # half an IPv6 address, for example
        return quote(text, safe="/")
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return quote(text, safe="/")
    return urlunsplit(
        (
            parts.scheme,
            _quoted(user, ":") + at + _quoted(host, ":[]"),
            _quoted(parts.path, "/:@"),
            _quoted(parts.query, "/:@?"),
            _quoted(parts.fragment, "/:@?"),
        )
    )


def _quoted(part: str, safe: str) -> str:
    """Quote a part of a web address, except what is quoted already (RFC 3986, section 3)."""
    return quote(_STRAY_PERCENT.sub("%25", part), safe="%!$&'()*+,;=~" + safe)


def _url(path: str) -> str:
    return "/" + quote(path, errors="surrogateescape")
