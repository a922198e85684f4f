"""TIFF and BigTIFF, patched as bytes: vendors' tags, their order and what offsets mean stay.

Uncompressed data is zeroed in its place. Compressed data is packed anew from zeros; where that is
shorter, what follows moves up, and every offset in the directories with it. A file that holds bytes
which no directory accounts for (a vendor's block, reached by an offset in a private tag) keeps its
layout instead, with zeros in the room that is left over.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import BinaryIO

from nexuslims_sanitiser.plan import Keep, Piece, Plan, Put, SanitiseError, Span, Zero
from nexuslims_sanitiser.tag_values import SmallValues, kept_of
from nexuslims_sanitiser.tiff_data import UNCOMPRESSED, packed_zeros
from nexuslims_sanitiser.tiff_layout import Layout, TagValue, read_layout
from nexuslims_sanitiser.words import SIS_MARK, words

_ALIGNMENT = 16
_PADDING = 16
_MAX_GAP = 16 << 20


@dataclass(frozen=True, slots=True)
class _Block:
    """A run of the original, and what becomes of it."""

    span: Span
    piece: Piece
    same_as: Span | None = None
    """The run whose bytes it shares."""

    @property
    def size(self) -> int:
        return len(self.piece.content) if isinstance(self.piece, Put) else self.piece.size


def plan_tiff(path: Path) -> Plan:
    """Zero strips, tiles and thumbnails of every page, and values of tags that prove no metadata.

    Raises
    ------
    SanitiseError
        Data is packed in a way that zeros cannot be, or lies across the directories.
    UnreadableFileError, LimitExceededError
        The directories are damaged.
    """
    size = path.stat().st_size
    layout = read_layout(path)
    with path.open("rb") as file:
        kept = _merged(layout.structure)
        plain, packed, lengths = _data(file, layout, size)
        taken = sorted([*kept, *plain, *packed])
        _refuse_overlap(taken)
        texts = _merged(span for gap in _gaps(taken, size) for span in _words(file, gap, layout))
        gaps = _gaps(sorted([*taken, *texts]), size)
        blocks = [_Block(span, Keep(span.offset, span.size)) for span in [*kept, *texts]]
        blocks += [_Block(span, Zero(span.size)) for span in plain]
        blocks += [_Block(gap, Zero(gap.size)) for gap in gaps]
        blocks += _packed_blocks(packed, fixed=bool(texts))
        blocks.sort(key=lambda block: block.span)
        patches = _patches(layout, blocks) | lengths | _blanked(file, layout)
        places = sorted(patches)
        return Plan(tuple(piece for block in blocks for piece in _patched(block, patches, places)))


def _data(
    file: BinaryIO, layout: Layout, size: int
) -> tuple[list[Span], dict[Span, bytes | None], dict[int, bytes]]:
    """Return the plain data, the packed data with its zeros, and patches of its lengths."""
    plain: list[Span] = []
    packed: dict[Span, bytes | None] = {}
    lengths: dict[int, bytes] = {}
    order = layout.order
    for run in layout.runs:
        span = Span(run.span.offset, min(run.span.size, size - run.span.offset))
        if span.size <= 0:
            continue
        if run.compression == UNCOMPRESSED:
            plain.append(span)
            continue
        if span not in packed:
            packed[span] = packed_zeros(run, _read(file, span))
        zeros = packed[span]
        if zeros is not None and run.length is not None:
            lengths[run.length.at] = struct.pack(order + run.length.code, len(zeros))
    return _merged(plain), packed, lengths


def _read(file: BinaryIO, span: Span) -> bytes:
    file.seek(span.offset)
    return file.read(span.size)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Join what overlaps: tags may share a value."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.offset < merged[-1].end:
            last = merged.pop()
            span = Span(last.offset, max(last.end, span.end) - last.offset)  # noqa: PLW2901 - joined
        merged.append(span)
    return merged


def _refuse_overlap(taken: Sequence[Span]) -> None:
    for before, after in pairwise(taken):
        if after.offset < before.end:
            raise SanitiseError(
                f"the TIFF file places two things at byte {after.offset}: it is damaged"
            )


def _gaps(taken: Sequence[Span], size: int) -> Iterator[Span]:
    at = 0
    for span in [*taken, Span(size, 0)]:
        if span.offset > at:
            yield Span(at, span.offset - at)
        at = max(at, span.end)


def _words(file: BinaryIO, gap: Span, layout: Layout) -> Iterator[Span]:
    """Yield a vendor's words among bytes that no directory accounts for."""
    if _PADDING < gap.size <= _MAX_GAP:
        content = _read(file, gap)
        for span in words(content):
            place = gap.offset + span.offset
            if not content.startswith(SIS_MARK, span.offset) or place in layout.sis_blocks:
                yield Span(place, span.size)


def _packed_blocks(packed: Mapping[Span, bytes | None], *, fixed: bool) -> Iterator[_Block]:
    """Yield what becomes of packed runs; where they may move, equal ones are written once."""
    first: dict[bytes, Span] = {}
    for span, zeros in sorted(packed.items()):
        if zeros is None or fixed or first.setdefault(zeros, span) == span:
            yield _Block(span, _packed_piece(span, zeros, fixed=fixed))
        else:
            yield _Block(span, Put(bytes(span.size % _ALIGNMENT)), first[zeros])


def _packed_piece(span: Span, zeros: bytes | None, *, fixed: bool) -> Piece:
    if zeros is None:
        return Keep(span.offset, span.size)
    if not fixed:
        return Put(zeros + bytes((span.size - len(zeros)) % _ALIGNMENT))
    if len(zeros) > span.size:
        raise SanitiseError(f"zeros are longer than the data at byte {span.offset}")
    return Put(zeros + bytes(span.size - len(zeros)))


def _patches(layout: Layout, blocks: Sequence[_Block]) -> dict[int, bytes]:
    """Return the offsets that change, by the place where they are written."""
    starts = [block.span.offset for block in blocks]
    moved: dict[Span, int] = {}
    at = 0
    for block in blocks:
        moved[block.span] = at if block.same_as is None else moved[block.same_as]
        at += block.size
    patches: dict[int, bytes] = {}
    for pointer in layout.pointers:
        span = blocks[bisect_right(starts, pointer.value) - 1].span
        value = pointer.value + moved[span] - span.offset
        if value != pointer.value and pointer.value < blocks[-1].span.end:
            patches[pointer.at] = struct.pack(layout.order + pointer.code, value)
    return patches


def _blanked_values(file: BinaryIO, layout: Layout) -> Iterator[tuple[TagValue, bytes]]:
    """Yield the values of tags that do not stay as they are, with what takes their place.

    Parameters
    ----------
    file
        The TIFF file.
    layout
        Of that file.
    """
    small = SmallValues()
    for _, group in groupby(layout.values, key=lambda value: value.directory):
        held = [(value, _read(file, value.span)) for value in group]
        others = {value.tag: content for value, content in held}
        for value, content in held:
            kept = kept_of(value.tag, value.kind, content, others, small)
            if kept != content:
                yield value, kept


def blanked_tags(path: Path) -> set[tuple[int, int]]:
    """Return the tags that do not stay as they are, each with the place of its directory."""
    layout = read_layout(path)
    with path.open("rb") as file:
        return {(value.directory, value.tag) for value, _ in _blanked_values(file, layout)}


def _blanked(file: BinaryIO, layout: Layout) -> dict[int, bytes]:
    blank = {span.offset: bytes(span.size) for span in layout.surplus}
    for value, kept in _blanked_values(file, layout):
        at = value.span.offset
        blank[at] = max(blank.get(at, b""), kept, key=len)
    return blank


def _patched(block: _Block, patches: dict[int, bytes], places: Sequence[int]) -> Iterator[Piece]:
    """Yield a block's pieces, those kept with the patches that fall on them."""
    if not isinstance(block.piece, Keep):
        yield block.piece
        return
    at = block.span.offset
    for place in places[bisect_left(places, at) : bisect_left(places, block.span.end)]:
        if place > at:
            yield Keep(at, place - at)
        if place < at:
            raise SanitiseError(f"two patches fall on byte {place} of the TIFF file")
        yield Put(patches[place])
        at = place + len(patches[place])
    if at < block.span.end:
        yield Keep(at, block.span.end - at)
