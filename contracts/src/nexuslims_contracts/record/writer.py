"""Writing records as XML.

Nothing comes from a clock or from chance: the same model gives the same bytes, which are those of
lxml's ``tostring`` with ``pretty_print``. A record of 10,000 datasets has half a million elements:
the text is made piece by piece, and no tree of it stands in memory.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Final

from nexuslims_contracts.record import CHEMICAL_ELEMENTS, NAMESPACE, PREFIX, XSI
from nexuslims_contracts.record.model import (
    Activity,
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
    TextEntry,
)
from nexuslims_contracts.record.texts import as_path, as_uri, inactive, recordable, surely_plain

_IN_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE: Final = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
_INDENT: Final = "  "


def write_record(experiment: Experiment) -> bytes:
    """Write a record as UTF-8 XML with its declaration."""
    content = BytesIO()
    for lines in record_lines(experiment):
        content.write(lines.encode())
    return content.getvalue()


def record_lines(experiment: Experiment) -> Iterator[str]:
    """Write a record piece by piece, a dataset at a time; each piece is one or more lines.

    Texts are written as :func:`~nexuslims_contracts.record.texts.recordable` makes them.
    """
    yield "<?xml version='1.0' encoding='UTF-8'?>\n"
    pid = _attributes(pid=experiment.pid)
    yield f'<Experiment xmlns="{NAMESPACE}" xmlns:xsi="{XSI}" xmlns:{PREFIX}="{NAMESPACE}"{pid}>\n'
    yield _leaf(1, "title", experiment.title)
    yield _leaf(1, "id", experiment.id)
    yield from _summary(experiment)
    for sample in experiment.samples:
        yield from _sample(sample)
    for project in experiment.projects:
        yield from _project(project)
    for number, activity in enumerate(experiment.activities):
        yield from _activity(number, activity)
    for notes in experiment.notes:
        yield from _notes(1, notes)
    yield "</Experiment>\n"


def _summary(experiment: Experiment) -> Iterator[str]:
    lines = [
        *(_leaf(2, "experimenter", name) for name in experiment.experimenters),
        *(_leaf(2, "collaborator", name) for name in experiment.collaborators),
        _leaf(
            2,
            "instrument",
            experiment.instrument,
            _attributes(pid=experiment.instrument_pid, ref=_uri(experiment.instrument_ref)),
        ),
        *_optional(2, reservationStart=experiment.start, reservationEnd=experiment.end),
        *_optional(2, motivation=experiment.motivation),
    ]
    return _parent(1, "summary", lines, _attributes(ref=_uri(experiment.url)))


def _sample(sample: Sample) -> Iterator[str]:
    lines = [
        *_optional(2, name=sample.name),
        *(_leaf(2, "description", text) for text in sample.descriptions),
        *(line for notes in sample.notes for line in _notes(2, notes)),
    ]
    symbols = [_leaf(3, symbol, "") for symbol in CHEMICAL_ELEMENTS if symbol in sample.elements]
    if symbols:
        lines += _parent(2, "elements", symbols)
    return _parent(1, "sample", lines, _attributes(id=sample.id, ref=inactive(sample.ref)))


def _project(project: Project) -> Iterator[str]:
    lines = _optional(
        2,
        name=project.name,
        division=project.division,
        group=project.group,
        project_id=project.id,
        ref=_uri(project.ref),
    )
    return _parent(1, "project", list(lines))


def _activity(number: int, activity: Activity) -> Iterator[str]:
    yield f'{_INDENT}<acquisitionActivity seqno="{number}"'
    head = [
        *_optional(2, startTime=activity.start, sampleID=activity.sample),
        *(_parent(2, "setup", _parameters("param", activity.setup)) if activity.setup else ()),
        *(line for notes in activity.notes for line in _notes(2, notes)),
    ]
    if not head and not activity.datasets:
        yield "/>\n"
        return
    yield ">\n"
    yield from head
    for dataset in activity.datasets:
        yield "".join(_dataset(dataset))
    yield f"{_INDENT}</acquisitionActivity>\n"


def _dataset(dataset: Dataset) -> Iterator[str]:
    lines = [
        _leaf(3, "name", dataset.name),
        _leaf(3, "location", as_path(dataset.location)),
        *_optional(3, format=dataset.format),
        *(_leaf(3, "description", text) for text in dataset.descriptions),
        *(_leaf(3, "preview", as_path(path)) for path in dataset.previews),
        *_parameters("meta", dataset.parameters),
        *_curation(dataset.curation),
    ]
    return _parent(2, "dataset", lines, _attributes(type=dataset.type, role=dataset.role))


def _curation(curation: Curation | None) -> Iterator[str]:
    """Write a judgement; one that says nothing is left out."""
    if curation is None or (curation.rating is None and curation.featured is None):
        return
    rating = "" if curation.rating is None else f"<rating>{curation.rating}</rating>"
    featured = str(curation.featured).lower()
    marked = "" if curation.featured is None else f"<featured>{featured}</featured>"
    yield f"{_INDENT * 3}<curation>{rating}{marked}</curation>\n"


def _parameters(tag: str, parameters: Sequence[Parameter]) -> list[str]:
    start, end = f'{_INDENT * 3}<{tag} name="', f"</{tag}>\n"
    values = _texts([one.value for one in parameters])
    return [
        f"{start}{_attribute(one.name)}"
        + (f'" unit="{_attribute(one.unit)}' if one.unit else "")
        + ('" warning="true"' if one.unreliable else '"')
        + (f">{value}{end}" if value else "/>\n")
        for one, value in zip(parameters, values, strict=True)
    ]


def _notes(depth: int, notes: Notes) -> Iterator[str]:
    lines = [line for entry in notes.entries for line in _entry(depth + 1, entry)]
    return _parent(depth, "notes", lines, _attributes(source=notes.source))


def _entry(depth: int, entry: Entry) -> Iterator[str]:
    if isinstance(entry, TextEntry):
        lines = [_leaf(depth + 1, "p", text) for text in entry.paragraphs]
    elif isinstance(entry, ImageEntry):
        lines = [_leaf(depth + 1, "imageURL", _uri(url)) for url in entry.urls]
    else:
        lines = [line for table in entry.tables for line in _table(depth + 1, table)]
    kind = f' xsi:type="{PREFIX}:{type(entry).__name__}"'
    return _parent(depth, "entry", lines, kind)


def _table(depth: int, table: Table) -> Iterator[str]:
    columns = [
        _leaf(depth + 2, "column", one.title, _attributes(id=one.id)) for one in table.columns
    ]
    rows = [
        line
        for number, row in enumerate(table.rows)
        for line in _parent(
            depth + 2,
            "row",
            [_leaf(depth + 3, "cell", one.text, _attributes(colid=one.column)) for one in row],
            f' seqno="{number}"',
        )
    ]
    lines = [
        *_optional(depth + 1, title=table.title),
        *_parent(depth + 1, "header", columns),
        *_parent(depth + 1, "rows", rows),
    ]
    return _parent(depth, "table", lines)


def _optional(depth: int, **texts: str) -> Iterator[str]:
    """Write the elements that have a text."""
    return (_leaf(depth, name, text) for name, text in texts.items() if text)


def _leaf(depth: int, name: str, text: str, attributes: str = "") -> str:
    held = _text(text)
    content = f">{held}</{name}>\n" if held else "/>\n"
    return f"{_INDENT * depth}<{name}{attributes}{content}"


def _parent(depth: int, name: str, lines: list[str], attributes: str = "") -> Iterator[str]:
    indent = _INDENT * depth
    if not lines:
        yield f"{indent}<{name}{attributes}/>\n"
        return
    yield f"{indent}<{name}{attributes}>\n"
    yield from lines
    yield f"{indent}</{name}>\n"


def _attributes(**texts: str) -> str:
    return "".join(f' {name}="{_attribute(text)}"' for name, text in texts.items() if text)


def _text(text: str) -> str:
    return recordable(text).translate(_IN_TEXT)


def _texts(texts: list[str]) -> list[str]:
    """Escape many texts: nothing is to be escaped in most, and halving finds the others."""
    if surely_plain(texts):
        return texts
    if len(texts) == 1:
        return [_text(texts[0])]
    middle = len(texts) // 2
    return _texts(texts[:middle]) + _texts(texts[middle:])


@lru_cache(maxsize=4096)
def _attribute(text: str) -> str:
    """Escape a name or a unit; there are few of them, and they come again and again."""
    return recordable(text).translate(_IN_ATTRIBUTE)


def _uri(text: str) -> str:
    return as_uri(text) if text else ""
