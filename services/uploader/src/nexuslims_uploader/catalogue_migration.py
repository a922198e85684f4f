"""Taking over the catalogue of archives made by release 0.1: one file with all entries."""

import os
from collections import defaultdict
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from nexuslims_shared.artifacts import resolve
from nexuslims_uploader.catalogue import (
    ENTRIES_ON_A_PAGE,
    FOLDER,
    Catalogue,
    CatalogueError,
    Entry,
    EntryFields,
    Page,
)

FORMER: Final = f"{FOLDER}/catalogue.json"
_FORMER_ENTRIES: Final = TypeAdapter(tuple[EntryFields, ...])


def former_entries(records: Path) -> tuple[EntryFields, ...] | None:
    """Read the catalogue of release 0.1, None if there is none.

    Raises
    ------
    CatalogueError
        If it is damaged.
    OSError
        If it cannot be read.
    """
    path = resolve(records, FORMER)
    try:
        return _FORMER_ENTRIES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise CatalogueError(
            f"{path} is damaged ({first['msg']}): restore it from a backup"
        ) from error


def take_over(entries: tuple[EntryFields, ...], catalogue: Catalogue) -> None:
    """Write the entries of release 0.1 as today's; may be done again after a crash.

    Parameters
    ----------
    entries
        As :func:`former_entries` gives them.
    catalogue
        Of the same archive.
    """
    months: defaultdict[str, list[EntryFields]] = defaultdict(list)
    for one in sorted(entries, key=lambda one: (one.start, one.file)):
        months[f"{one.start:%Y-%m}"].append(one)
    with catalogue.in_bulk():
        for month, some in months.items():
            for at in range(0, len(some), ENTRIES_ON_A_PAGE):
                page = Page(month=month, number=at // ENTRIES_ON_A_PAGE + 1)
                listed = [
                    Entry(**one.model_dump(), page=page)
                    for one in some[at : at + ENTRIES_ON_A_PAGE]
                ]
                catalogue.put_page(page, listed)
                for entry in listed:
                    catalogue.add(entry)
                    catalogue.assign(entry)
    os.sync()


def forget_former(records: Path) -> None:
    """Remove the catalogue of release 0.1, after it was taken over."""
    resolve(records, FORMER).unlink(missing_ok=True)
