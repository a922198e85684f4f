"""A faster ``dataclasses.replace`` for dataclasses with slots.

The standard one asks each field whether it is made in ``__init__``, and calls that: 4.4 us for the
twenty fields of a session's state, against 2.0 us, and a fold replaces twice or three times an
event (measured 2026-11 on Python 3.11).
"""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")


def replace(instance: T, **changes: Any) -> T:
    """Return a copy of an instance with other values for some fields.

    Parameters
    ----------
    instance
        Of a dataclass with slots, at least two fields, and no ``__post_init__``.
    changes
        New values by the names of fields.

    Raises
    ------
    KeyError
        If the class has no field of a name.
    """
    cls: Any = type(instance)
    positions, read, writers = _access(cls)
    values = list(read(instance))
    for name, value in changes.items():
        values[positions[name]] = value
    copy: T = object.__new__(cls)
    for write, value in zip(writers, values, strict=True):
        write(copy, value)
    return copy


@lru_cache(maxsize=8)
def _access(
    cls: type[Any],
) -> tuple[dict[str, int], Callable[[Any], tuple[Any, ...]], list[Callable[[Any, Any], None]]]:
    names: tuple[str, ...] = cls.__slots__
    positions = {name: position for position, name in enumerate(names)}
    return positions, attrgetter(*names), [getattr(cls, name).__set__ for name in names]
