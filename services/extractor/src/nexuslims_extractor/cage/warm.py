"""Doing once what each reader's process would do again: it is forked for one file, and ends."""

import codecs
import gc
import importlib
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from nexuslims_formats.locales.encodings import ENCODINGS

_LIBRARIES: Final = ("numpy", "PIL.Image", "h5py", "lxml.etree")


def load_libraries() -> None:
    """Import what many readers need only once they have a file: 30 ms (2026-11)."""
    for library in _LIBRARIES:
        importlib.import_module(library)
    for encoding in ENCODINGS:
        codecs.lookup(encoding)


def warm() -> None:
    """Build what pydantic leaves for later, and keep the collector off what is here already.

    Without, each process builds the models of metadata for itself: 40 ms a file (2026-11). What
    the collector looks through, the kernel has to copy for each process.
    """
    for model in set(_below(BaseModel)):
        if not model.__pydantic_complete__:
            model.model_rebuild()
    gc.collect()
    gc.freeze()


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)
