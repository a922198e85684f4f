"""What a sanitised copy is made of: pieces of the original, zeros, and bytes of our own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from nexuslims_formats.errors import ExtractorError, UnreadableFileError

CHUNK = 1 << 20


class SanitiseError(ExtractorError):
    """No copy was left: the message says what would have been wrong with it."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Bytes of the original."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Zero:
    """Zeros in place of data."""

    size: int


@dataclass(frozen=True, slots=True)
class Put:
    """Bytes of our own: data encoded anew, or a directory that must follow it."""

    content: bytes


Piece: TypeAlias = Keep | Zero | Put


@dataclass(frozen=True, slots=True)
class Plan:
    """A copy, piece by piece; ``finish`` works on the file when all pieces are written."""

    pieces: tuple[Piece, ...]
    finish: Callable[[Path], None] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A run of bytes in a file."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


def zero_spans(
    size: int, spans: Iterable[Span], finish: Callable[[Path], None] | None = None
) -> Plan:
    """Return the plan of a copy of the same size, zero in the spans given.

    Parameters
    ----------
    size
        Bytes of the file.
    spans
        In any order; they may overlap, and those of a truncated file end with it.
    finish
        As in :class:`Plan`.

    Raises
    ------
    UnreadableFileError
        A span starts before the file.
    """
    pieces: list[Piece] = []
    at = 0
    for span in sorted(spans):
        if span.offset < 0 or span.size < 0:
            raise UnreadableFileError(f"the file places data at byte {span.offset}")
        start, end = max(span.offset, at), min(span.end, size)
        if start >= end:
            continue
        if start > at:
            pieces.append(Keep(at, start - at))
        pieces.append(Zero(end - start))
        at = end
    if at < size:
        pieces.append(Keep(at, size - at))
    return Plan(tuple(pieces), finish)


def zero_all_but(size: int, kept: Sequence[Span]) -> Plan:
    """Return the plan of a copy of the same size that keeps nothing but some spans.

    Parameters
    ----------
    size
        Bytes of the file.
    kept
        In the order of the file.
    """
    starts = [0, *(span.end for span in kept)]
    ends = [*(span.offset for span in kept), size]
    gaps = (Span(start, end - start) for start, end in zip(starts, ends, strict=True))
    return zero_spans(size, (gap for gap in gaps if gap.size > 0))


def write_copy(plan: Plan, source: Path, target: Path) -> None:
    """Write the copy that a plan describes; the source is only read.

    Parameters
    ----------
    plan
        What to keep and what to zero.
    source
        The file; it is only read.
    target
        The copy to write.
    """
    with target.open("xb") as copy:
        for chunk in planned_bytes(plan, source):
            copy.write(chunk)
    if plan.finish is not None:
        plan.finish(target)


def planned_bytes(plan: Plan, source: Path) -> Iterator[bytes]:
    """Yield the copy that a plan describes, before ``finish``, in pieces of a bounded size.

    Parameters
    ----------
    plan
        What to keep and what to zero.
    source
        The file.
    """
    with source.open("rb") as original:
        for piece in plan.pieces:
            yield from _chunks(piece, original)


def _chunks(piece: Piece, original: BinaryIO) -> Iterator[bytes]:
    if isinstance(piece, Put):
        yield piece.content
        return
    if isinstance(piece, Keep):
        original.seek(piece.offset)
    left = piece.size
    while left:
        size = min(left, CHUNK)
        chunk = original.read(size) if isinstance(piece, Keep) else bytes(size)
        if not chunk:
            raise UnreadableFileError("the file shrank while it was read")
        yield chunk
        left -= len(chunk)
