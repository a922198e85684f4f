"""Words, as they are stored and searched: the same for every database."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Text, column, func, literal_column, table
from sqlalchemy.dialects.postgresql import TSQUERY

from nexuslims_console.archive.tables import ArchiveTables

_SHORT: Final = 2
"""Letters of words that are searched for whole: symbols of elements."""
_BREAK: Final = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Return the words of a text: lower case, without accents, one blank between two."""
    plain = unicodedata.normalize("NFKD", text)
    letters = "".join(one for one in plain if not unicodedata.combining(one))
    return _BREAK.sub(" ", letters.casefold()).strip()


def search_vector(text: Any, elements: Any) -> ColumnElement[Any]:
    """Return what PostgreSQL keeps to search a row by; elements are marked.

    Parameters
    ----------
    text, elements
        Expressions of the row's texts.
    """
    simple: ColumnElement[str] = literal_column("'simple'::regconfig")
    marked = func.setweight(func.to_tsvector(simple, elements), literal_column("'A'::\"char\""))
    return func.to_tsvector(simple, text).op("||")(marked)


@dataclass(frozen=True, slots=True)
class Matches:
    """Datasets that words match: the condition, and the column of their identifiers beside it."""

    identifier: ColumnElement[int]
    condition: ColumnElement[bool]


def matching(
    tables: ArchiveTables, dialect: str, words: Sequence[str], elements: Sequence[str]
) -> Matches:
    """Return the datasets that have all of some words, and are of all of some elements.

    Parameters
    ----------
    tables
        Those that are searched.
    dialect
        ``sqlite`` or ``postgresql``.
    words
        Folded; each may be the beginning of a longer one, unless it is short, or an element.
    elements
        Chemical symbols.
    """
    if dialect == "postgresql":
        begun = (f"{word}:*" if len(word) > _SHORT else word for word in words)
        terms = [*begun, *(f"{one.casefold()}:A" for one in elements)]
        simple: ColumnElement[str] = literal_column("'simple'::regconfig")
        query = func.to_tsquery(simple, " & ".join(terms), type_=TSQUERY)
        datasets = tables.datasets.c
        return Matches(datasets.id, datasets.search.op("@@", is_comparison=True)(query))
    terms = [*(_quoted(word) for word in words), *(f'elements: "{one}"' for one in elements)]
    index = table(tables.words, column("rowid", Integer), column(tables.words, Text))
    match = index.c[tables.words].op("MATCH", is_comparison=True)(" AND ".join(terms))
    return Matches(index.c.rowid, match)


def _quoted(word: str) -> str:
    """Return a word in FTS5's syntax."""
    return f'"{word}"*' if len(word) > _SHORT else f'"{word}"'
