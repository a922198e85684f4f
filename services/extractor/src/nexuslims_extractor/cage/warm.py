"""Doing once what each reader's process would do again: it is forked for one file, and ends."""

import gc
from collections.abc import Iterator

from pydantic import BaseModel


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
