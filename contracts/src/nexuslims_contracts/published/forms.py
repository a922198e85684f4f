"""All published forms, and whether the checked-in ones are theirs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nexuslims_contracts.errors import ContractError
from nexuslims_contracts.events import EVENT_TYPES
from nexuslims_contracts.published.asyncapi import document
from nexuslims_contracts.published.compatibility import REMEDY, breaks
from nexuslims_contracts.published.pages import events_page, metadata_page
from nexuslims_contracts.published.schemas import Schema, event_schemas, metadata_schemas
from nexuslims_contracts.upcasting import UPCASTERS

EVENTS: Final = Path("contracts/published/events")
METADATA: Final = Path("contracts/published/metadata")
ASYNCAPI: Final = Path("contracts/published/asyncapi.json")
EVENTS_PAGE: Final = Path("docs/events.md")
METADATA_PAGE: Final = Path("docs/metadata.md")


class BrokenContractError(ContractError):
    """A model and its published schema cannot read each other's events."""


def forms(root: Path) -> dict[Path, str]:
    """Return the content of every published file, by its path below the repository.

    Parameters
    ----------
    root
        The repository: schemas of versions that only earlier releases wrote are read there.

    Raises
    ------
    BrokenContractError
        If a published version changed so that a release could not read another one's events, or
        the schema of an old version is gone.
    """
    retired = {name: _published(root, name) for name in UPCASTERS}
    current = event_schemas()
    _require_compatible(root, current)
    schemas = {**retired, **current}
    return {
        **{EVENTS / f"{name}.json": _text(schema) for name, schema in schemas.items()},
        **{METADATA / f"{name}.json": _text(one) for name, one in metadata_schemas().items()},
        ASYNCAPI: _text(document(schemas)),
        EVENTS_PAGE: events_page(current),
        METADATA_PAGE: metadata_page(),
    }


def outdated(root: Path) -> list[Path]:
    """Return the published files that do not say what the models say, or that nobody wrote."""
    wanted = forms(root)
    present = {
        path.relative_to(root)
        for folder in (EVENTS, METADATA)
        for path in (root / folder).glob("*.json")
    }
    wrong = {path for path, text in wanted.items() if _read(root / path) != text}
    return sorted(wrong | (present - wanted.keys()))


def write(root: Path) -> list[Path]:
    """Write what is outdated, remove what is not ours any more, and return what changed."""
    wanted, changed = forms(root), outdated(root)
    for path in changed:
        target = root / path
        if path in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted[path], encoding="utf-8")
        else:
            target.unlink()
    return changed


def _require_compatible(root: Path, current: Mapping[str, Schema]) -> None:
    problems = [
        f"{name}: {problem}"
        for name, schema in current.items()
        if (root / EVENTS / f"{name}.json").is_file()
        for problem in breaks(_published(root, name), schema)
    ]
    gone = [
        f"{path.stem}: no model and no upcaster reads it any more"
        for path in sorted((root / EVENTS).glob("*.json"))
        if path.stem not in EVENT_TYPES and path.stem not in UPCASTERS
    ]
    if problems or gone:
        raise BrokenContractError("; ".join([*problems, *gone]) + f": {REMEDY}")


def _published(root: Path, name: str) -> Schema:
    path = root / EVENTS / f"{name}.json"
    if not path.is_file():
        raise BrokenContractError(
            f"{name} has an upcaster, and its schema {path} is gone: restore the file"
        )
    schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _text(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
