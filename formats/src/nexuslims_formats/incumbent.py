"""Extractors written for NexusLIMS 2.x, run as they are where they use its documented interface.

Such a file has a class with ``name``, ``priority``, ``supported_extensions``, ``supports(context)``
and ``extract(context)``. The last returns, for each signal, a dictionary whose ``nx_meta`` has the
fields by their displayed names. While the file is loaded, the parts of NexusLIMS that its
documentation of extractors names can be imported: ``nexusLIMS.extractors.base``,
``add_to_extensions`` of ``nexusLIMS.extractors.utils``, ``ureg`` of ``nexusLIMS.schemas.units``,
and ``get_instr_from_filepath`` of ``nexusLIMS.instruments``, which knows no instrument here.
"""

import ast
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final, get_args

from nexuslims_contracts.datasets import DatasetType
from nexuslims_contracts.identifiers import digest
from nexuslims_contracts.metadata import FIELDS
from nexuslims_contracts.units import registry
from nexuslims_formats.errors import ExtractorError, UnreadableFileError
from nexuslims_formats.model import Moment, ParsedFile, Signal, Value

NAME: Final = "nexusLIMS"
META: Final = "nx_meta"
_CREATED: Final = "Creation Time"
_TYPES: Final = ("DatasetType", "Data Type")
_DIMENSIONS: Final = "Data Dimensions"
_NO_FIELDS: Final = {
    *(*_TYPES, _CREATED, _DIMENSIONS),
    *("warnings", "extensions", "NexusLIMS Extraction"),
}
"""Entries of ``nx_meta`` that are no fields."""


@dataclass(frozen=True)
class ExtractionContext:
    """What functions of the incumbent's get: here, and in its profiles.

    Parameters
    ----------
    file_path
        The file.
    instrument
        An object with a ``name``, where the instrument is known.
    signal_index
        Always None: all signals are wanted.
    """

    file_path: Path
    instrument: Any = None
    signal_index: int | None = None


def displayed(name: str) -> str:
    """Return the incumbent's name of a field: ``Stage Position`` for ``stage_position``."""
    return name.replace("_", " ").title()


def field_of(name: str) -> str:
    """Return the field that a displayed name stands for."""
    return name.strip().lower().replace(" ", "_")


@contextmanager
def offering(modules: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Let modules of the incumbent be imported for a while.

    Parameters
    ----------
    modules
        Their content, by name.
    """
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    for name, content in modules.items():
        module = ModuleType(name)
        module.__path__ = []
        vars(module).update(content)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


def _add_to_extensions(nx_meta: dict[str, Any], name: str, value: Any) -> None:
    nx_meta.setdefault("extensions", {})[name] = value


def _interface() -> dict[str, dict[str, Any]]:
    return {
        NAME: {},
        f"{NAME}.extractors": {},
        f"{NAME}.extractors.base": {
            "ExtractionContext": ExtractionContext,
            "BaseExtractor": object,
        },
        f"{NAME}.extractors.utils": {"add_to_extensions": _add_to_extensions},
        f"{NAME}.instruments": {"get_instr_from_filepath": lambda path: None},  # noqa: ARG005
        f"{NAME}.schemas": {},
        f"{NAME}.schemas.units": {"ureg": registry.registry()},
    }


class IncumbentExtractor:
    """An extractor for NexusLIMS 2.x as one of ours; a subclass says in which file it is.

    Raises
    ------
    ExtractorError
        If the file cannot be executed, or has not exactly one extractor.
    """

    file: ClassVar[Path]

    def __init__(self) -> None:
        self._theirs = _load(self.file)
        self.name = str(self._theirs.name)
        self.version = f"2.x-{digest([self.file.read_text(encoding='utf-8')])[:8]}"
        self.priority = int(self._theirs.priority)
        endings = getattr(self._theirs, "supported_extensions", None) or ()
        self.extensions = tuple(sorted(str(one).lower().lstrip(".") for one in endings))

    def supports(self, path: Path, head: bytes) -> bool:
        """Tell whether it reads a file.

        Parameters
        ----------
        path
            The file.
        head
            Its first bytes, which these extractors do not ask for.
        """
        del head
        return bool(self._theirs.supports(ExtractionContext(path)))

    def open(self, path: Path) -> ParsedFile:
        """Read a file.

        Raises
        ------
        UnreadableFileError
            If what it returns has no ``nx_meta`` of a known dataset type.
        """
        found = self._theirs.extract(ExtractionContext(path))
        documents = found if isinstance(found, list) else [found]
        if not documents or not all(isinstance(one, dict) and META in one for one in documents):
            raise UnreadableFileError(f"{self.name} found no metadata in {path.name}")
        native = {name: value for name, value in documents[0].items() if name != META}
        return ParsedFile(
            signals=[_signal(path, one[META]) for one in documents],
            native=native,
            reader=f"NexusLIMS 2.x {self.name}",
        )


def _load(file: Path) -> Any:
    name = f"nexuslims_incumbent_{digest([str(file)])[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ExtractorError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        with offering(_interface()):
            spec.loader.exec_module(module)
    except Exception as error:
        raise ExtractorError(
            f"{file} cannot be executed ({type(error).__name__}: {error}): what it needs of"
            " NexusLIMS beyond its documented interface has to be taken out"
        ) from error
    found = [
        one
        for one in vars(module).values()
        if inspect.isclass(one) and one.__module__ == name and hasattr(one, "extract")
    ]
    if len(found) != 1:
        raise ExtractorError(f"{file} has {len(found)} extractors: leave exactly one in it")
    return found[0]()


def _signal(path: Path, meta: Mapping[str, Any]) -> Signal:
    """Return one signal from its ``nx_meta``."""
    kind = meta.get("DatasetType", "Unknown")
    if kind not in get_args(DatasetType):
        raise UnreadableFileError(f"there is no DatasetType {kind!r}")
    extensions = {field_of(name): _plain(one) for name, one in meta.get("extensions", {}).items()}
    metadata: dict[str, Value] = {}
    for name, value in meta.items():
        if name in _NO_FIELDS:
            continue
        target = metadata if field_of(name) in FIELDS else extensions
        target[field_of(name)] = _plain(value)
    warnings = [one if isinstance(one, str) else one[-1] for one in meta.get("warnings", [])]
    return Signal(
        name=path.stem,
        dataset_type=kind,
        data_type=str(meta.get("Data Type", "Unknown")),
        shape=_shape(meta.get(_DIMENSIONS)),
        metadata=metadata,
        extensions=extensions,
        warnings=tuple(dict.fromkeys(map(field_of, warnings))),
        acquired=_moment(meta.get(_CREATED)),
    )


def _plain(value: Any) -> Any:
    """Return a value as our extractors give it: a quantity is ``(number, unit)``."""
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return float(value.magnitude), f"{value.units:~}"
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return value.item() if hasattr(value, "item") else value


def _shape(text: object) -> tuple[int, ...]:
    """Return the dimensions that the incumbent writes as ``(1024, 1024)``."""
    try:
        shape = ast.literal_eval(str(text))
    except (ValueError, SyntaxError):
        return ()
    return tuple(map(int, shape)) if isinstance(shape, tuple) else ()


def _moment(text: object) -> Moment | None:
    if text is None:
        return None
    try:
        return Moment(datetime.fromisoformat(str(text)), _CREATED)
    except ValueError:
        return Moment(None, _CREATED, problem=f"{_CREATED} {str(text)!r} is no time")
