"""The extractor for the files of JEOL's Analysis Station, and for a project that lists them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from nexuslims_contracts.text import printable
from nexuslims_formats.errors import (
    ExtractorError,
    LimitExceededError,
    UnreadableFileError,
    UnsafeFileError,
)
from nexuslims_formats.jeol.files import IMAGE_MARK, MAP_MARK, read_image, read_map
from nexuslims_formats.jeol.spectrum import is_spectrum, read_spectrum
from nexuslims_formats.jeol.tree import read_tree
from nexuslims_formats.model import ParsedFile, Signal
from nexuslims_formats.values import leaves

_PROJECT_MARK: Final = b"\0\0\0\0"
_PROJECT_NAME: Final = b"FileType"
_TREE: Final = 12
_MOST_MEMBERS: Final = 10_000
_NAMED: Final = 3


class JeolStationExtractor:
    """Reads headers and trees; images and events for previews only."""

    name = "jeol_station"
    version = "1.0"
    priority = 60
    extensions = ("asw", "eds", "img", "map", "pts")
    endings = ("asw", "eds")
    """Images, maps and maps of spectra are read with the project that lists them."""

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell by the mark; a spectrum by its ending too, for it has none."""
        if head.startswith(IMAGE_MARK) and head[4:8] == b"JED-":
            return True
        if head.startswith(MAP_MARK) and head[4:8] == b"PTTD":
            return True
        if path.suffix.lower() == ".eds":
            return is_spectrum(head)
        return head.startswith(_PROJECT_MARK) and _PROJECT_NAME in head[:64]

    def open(self, path: Path) -> ParsedFile:
        """Read a file, or all that a project lists."""
        with path.open("rb") as file:
            head = file.read(64)
        if head.startswith(IMAGE_MARK):
            return read_image(path)
        if head.startswith(MAP_MARK):
            return read_map(path)
        if not head.startswith(_PROJECT_MARK):
            return read_spectrum(path)
        return _read_project(self, path)


def _read_project(extractor: JeolStationExtractor, path: Path) -> ParsedFile:
    """Read the files that a project lists; one that is damaged or absent costs itself."""
    with path.open("rb") as file:
        tree = read_tree(file, _TREE, path.stat().st_size)
    signals: list[Signal] = []
    problems: list[str] = []
    others: list[str] = []
    for name in _members(tree):
        member = path.parent.joinpath(*PureWindowsPath(name).parts)
        if not member.resolve().is_relative_to(path.parent.resolve()):
            raise UnsafeFileError(f"the project lists {printable(name)}, outside its folder")
        try:
            if not member.is_file():
                raise UnreadableFileError("it is not there")
            with member.open("rb") as file:
                head = file.read(4096)
            if member.suffix.lower().removeprefix(".") not in extractor.extensions:
                others.append(printable(name))
                continue
            if head.startswith(_PROJECT_MARK) or not extractor.supports(member, head):
                raise UnreadableFileError("it is not what its name says")
            signals += (
                replace(signal, extensions={"jeol_file": name, **signal.extensions})
                for signal in extractor.open(member).signals
            )
        except (ExtractorError, OSError) as error:
            problems.append(f"{printable(name)}, which it lists: {error}")
    if not signals and not problems:
        raise UnreadableFileError("the project lists no file")
    if not signals:  # the project alone, as people pass it on
        signals = [Signal(name=path.stem, dataset_type="Misc", data_type="Project",
                          extensions=dict(leaves(tree, "jeol")))]  # fmt: skip
    if others:  # such as the images (.apb) that follow a drift: sound, but not read
        doubt = f"the project lists what is not read: {', '.join(others[:_NAMED])}"
        signals[0] = replace(signals[0], doubts=(*signals[0].doubts, doubt))
    return ParsedFile(signals=signals, native=tree, reader="jeol tree", problems=tuple(problems))


def _members(tree: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the files that a project lists, as Windows writes them."""
    count = 0
    for sample in _below(tree, "SampleInfo"):
        for view in _below(sample, "ViewInfo"):
            for data in _below(view, "ViewData"):
                name = data.get("Filename")
                count += 1
                if count > _MOST_MEMBERS:
                    raise LimitExceededError(f"the project lists more than {_MOST_MEMBERS} files")
                if isinstance(name, str) and name.strip():
                    yield name.strip()


def _below(node: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    group = node.get(name)
    items = group.values() if isinstance(group, dict) else ()
    return (item for item in items if isinstance(item, dict))
