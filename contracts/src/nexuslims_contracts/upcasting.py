"""Reading what earlier releases wrote: pure functions, one per version step, before validation."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nexuslims_contracts.errors import UnknownEventError
from nexuslims_contracts.events import EVENT_TYPES

Payload: TypeAlias = dict[str, Any]
Upcaster: TypeAlias = Callable[[Payload], Payload]

UPCASTERS: Mapping[str, tuple[str, Upcaster]] = {}
"""Old type name -> the next type name, and the function that takes a payload there."""


def is_current(type_name: str) -> bool:
    """Tell whether payloads of this type are read as they are."""
    return type_name in EVENT_TYPES


def upcast(
    type_name: str,
    payload: Payload,
    upcasters: Mapping[str, tuple[str, Upcaster]] = UPCASTERS,
) -> tuple[str, Payload]:
    """Take a stored payload to the newest version of its event.

    Returns
    -------
    tuple
        The newest type name and the payload as that version has it.

    Raises
    ------
    UnknownEventError
        If neither a model nor an upcaster knows the type: a newer release wrote it.
    """
    while type_name not in EVENT_TYPES:
        if type_name not in upcasters:
            raise UnknownEventError(
                f"event type {type_name!r} is unknown to this release: update the service"
            )
        type_name, step = upcasters[type_name]
        payload = step(payload)
    return type_name, payload
