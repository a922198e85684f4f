"""Reading what earlier releases wrote: pure functions, one per version step, before validation."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nexuslims_contracts.errors import UndecodableError, UnknownEventError
from nexuslims_contracts.events import EVENT_TYPES

Payload: TypeAlias = dict[str, Any]
Upcaster: TypeAlias = Callable[[Payload], Payload]


def _list_problems(old: Payload) -> Payload:
    """Version 1 of a rejection had all problems in one text."""
    kept = {name: value for name, value in old.items() if name != "reason"}
    return {**kept, "problems": [old["reason"]]}


UPCASTERS: Mapping[str, tuple[str, Upcaster]] = {
    "nexuslims.record.rejected.v1": ("nexuslims.record.rejected.v2", _list_problems),
}
"""Old type name -> the next type name, and the function that takes a payload there.

Once released, a step is never changed: what it reads was written for ever.
"""


def is_current(type_name: str) -> bool:
    """Tell whether payloads of this type are read as they are."""
    return type_name in EVENT_TYPES


def upcast(
    type_name: str,
    payload: Payload,
    upcasters: Mapping[str, tuple[str, Upcaster]] = UPCASTERS,
) -> tuple[str, Payload]:
    """Take a stored payload to the newest version of its event.

    Parameters
    ----------
    type_name
        Name and version that the payload was stored with.
    payload
        As it was stored.
    upcasters
        The steps between versions, by the type that they read.

    Returns
    -------
    tuple
        The newest type name and the payload as that version has it.

    Raises
    ------
    UnknownEventError
        If neither a model nor an upcaster knows the type: a newer release wrote it.
    UndecodableError
        If the payload is not what its version says.
    """
    while type_name not in EVENT_TYPES:
        if type_name not in upcasters:
            raise UnknownEventError(
                f"event type {type_name!r} is unknown to this release: update the service"
            )
        newer, step = upcasters[type_name]
        try:
            payload = step(payload)
        except (KeyError, TypeError, ValueError) as error:
            raise UndecodableError(f"{type_name} cannot be read as {newer}: {error!r}") from error
        type_name = newer
    return type_name, payload
