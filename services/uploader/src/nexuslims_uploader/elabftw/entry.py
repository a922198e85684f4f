"""What an experiment in eLabFTW says of a session: as the incumbent writes it, and escaped.

Beside the incumbent's fields there are two of ours: a key by which the experiment is found again,
and the digest of the record it shows.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from nexuslims_uploader.destination import RecordToUpload, UploadResult
from nexuslims_uploader.html import escaped
from nexuslims_uploader.notebook import (
    DIGEST,
    KEY,
    SESSION,
    key_of,
    links_of,
    session_id,
    users_of,
)

HEADING: Final = "NexusLIMS Microscopy Session"
_BASE: Final = "nexuslims"
"""Where the metadata keep the values of our fields as we wrote them."""
_EDITED: Final = "text edited"
_TITLE: Final = "NexusLIMS Experiment - "
_GROUPS: Final = [{"id": 1, "name": "Session Information"}, {"id": 2, "name": "Related Records"}]


def title_of(record: RecordToUpload) -> str:
    """Return the title of a session's experiment."""
    return _TITLE + record.artifact.stem


def kept_title(record: RecordToUpload, there: str) -> str:
    """Return the title of a session's experiment; one that a person gave it stays.

    Parameters
    ----------
    record
        The record.
    there
        The title that is there.
    """
    return there if there.strip() and not there.startswith(_TITLE) else title_of(record)


def tags_of(record: RecordToUpload) -> list[str]:
    """Return the tags of a session's experiment."""
    return list(dict.fromkeys(["NexusLIMS", record.instrument.pid, *users_of(record)]))


def body_of(record: RecordToUpload, links: Mapping[str, UploadResult]) -> str:
    """Return the text of the experiment, in HTML of few elements.

    Parameters
    ----------
    record
        The record.
    links
        Where the record is elsewhere, by destination.
    """
    details = {
        SESSION: session_id(record),
        "Instrument": record.instrument.pid,
        "User": ", ".join(users_of(record)),
        "Start": record.start.isoformat(),
        "End": record.end.isoformat(),
    }
    items = "".join(
        f"<li><strong>{escaped(name)}:</strong> {escaped(value)}</li>"
        for name, value in details.items()
        if value
    )
    parts = [f"<h1>{HEADING}</h1>", f"<h2>Session Details</h2><ul>{items}</ul>"]
    if anchors := [
        f'<li><a href="{escaped(url)}">View in {escaped(name)}</a></li>'
        for name, url in links_of(links).items()
    ]:
        parts.append(f"<h2>Related Records</h2><ul>{''.join(anchors)}</ul>")
    parts.append(
        "<h2>Files</h2><p>The record with all metadata is attached as"
        f" {escaped(record.file_name)}.</p><p>{KEY}: {key_of(record.session)}</p>"
    )
    return "\n".join(parts)


def metadata_of(
    record: RecordToUpload, links: Mapping[str, UploadResult], kept: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the metadata of the experiment; what people added or changed stays.

    Parameters
    ----------
    record, links
        As in :func:`body_of`.
    kept
        The metadata that are there.
    """
    fields: dict[str, dict[str, Any]] = {
        SESSION: _field("text", session_id(record), 1),
        "Instrument": _field("text", record.instrument.pid, 2),
        "Start Time": _field("datetime-local", _minute(record.start), 3),
        "End Time": _field("datetime-local", _minute(record.end), 4),
    }
    if users := users_of(record):
        fields["User"] = _field("text", ", ".join(users), 5)
    for place, (name, url) in enumerate(links_of(links).items()):
        fields[f"{name} Record"] = _field("url", url, 10 + place, group=2)
    fields[KEY] = _field("text", key_of(record.session), 20, group=2)
    fields[DIGEST] = _field("text", record.sha256, 21, group=2)
    theirs = kept.get("extra_fields")
    there: dict[str, Any] = theirs if isinstance(theirs, dict) else {}
    settings = kept.get("elabftw")
    changed = _changed_fields(there, kept.get(_BASE))
    return {
        **kept,
        "extra_fields": {**there, **fields, **changed},
        _BASE: {"fields": {name: field["value"] for name, field in fields.items()}},
        "elabftw": {
            **(settings if isinstance(settings, dict) else {"display_main_text": True}),
            "extra_fields_groups": _groups(settings),
        },
    }


def marked_as_edited(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of an experiment with a mark: people changed our part of its text."""
    base = metadata.get(_BASE)
    return {**metadata, _BASE: {**(base if isinstance(base, dict) else {}), _EDITED: True}}


def is_marked_as_edited(metadata: Mapping[str, Any]) -> bool:
    """Tell whether the metadata of an experiment have that mark."""
    base = metadata.get(_BASE)
    return isinstance(base, dict) and base.get(_EDITED) is True


def _changed_fields(there: Mapping[str, Any], base: Any) -> dict[str, Any]:
    """Return those of our fields to which people gave another value than we did."""
    values = base.get("fields") if isinstance(base, dict) else None
    return {
        name: there[name]
        for name, value in (values.items() if isinstance(values, dict) else ())
        if name not in (KEY, DIGEST)
        and isinstance(there.get(name), dict)
        and there[name].get("value") != value
    }


def _groups(settings: Any) -> list[Any]:
    """Return the groups of fields: ours, and those that people made."""
    there = settings.get("extra_fields_groups") if isinstance(settings, dict) else None
    ours = {group["id"] for group in _GROUPS}
    theirs = [one for one in there if isinstance(one, dict)] if isinstance(there, list) else []
    return [*_GROUPS, *(one for one in theirs if one.get("id") not in ours)]


def _field(kind: str, value: str, position: int, group: int = 1) -> dict[str, Any]:
    return {"type": kind, "value": value, "position": position, "group_id": group}


def _minute(moment: datetime) -> str:
    """Write a time as eLabFTW's fields want it: that of the facility's wall, no zone."""
    return moment.strftime("%Y-%m-%dT%H:%M")
