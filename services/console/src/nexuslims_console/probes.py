"""Readiness of the services that run on this machine."""

import asyncio
import http.client
import json
from dataclasses import dataclass, field
from typing import Any, Final

from tenacity import AsyncRetrying, retry_if_result, wait_exponential

from nexuslims_shared.health import INSTRUMENT_FOLDERS

_PATIENCE_S: Final = 5.0
"""Longer than a service takes to look at everything."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The readiness of a service.

    Parameters
    ----------
    checks
        The problem of each check; empty if there is none.
    notes
        What else it says, by topic.
    not_essential
        Checks without which it works all the same.
    unknown
        Checks that could not look.
    answered
        Whether the service answered at all.
    """

    checks: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)
    not_essential: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    answered: bool = True

    @property
    def problems(self) -> dict[str, str]:
        """The checks that failed."""
        return {check: problem for check, problem in self.checks.items() if problem}


async def readiness(port: int) -> Readiness:
    """Ask the service behind a local port whether it is ready.

    Parameters
    ----------
    port
        Its HTTP port on the loopback interface.
    """
    return await asyncio.to_thread(_ask, port)


async def until_ready(port: int) -> None:
    """Wait until the service behind a local port is ready, but for instruments that are away."""

    async def problems() -> dict[str, str]:
        found = await readiness(port)
        ignored = {INSTRUMENT_FOLDERS, *found.not_essential}
        return {name: why for name, why in found.problems.items() if name not in ignored}

    wait = wait_exponential(multiplier=0.1, max=2)
    await AsyncRetrying(retry=retry_if_result(bool), wait=wait)(problems)


def _ask(port: int) -> Readiness:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        body = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Readiness({"http": f"no answer ({type(error).__name__})"}, answered=False)
    finally:
        connection.close()
    return readiness_of(body)


def readiness_of(body: Any) -> Readiness:
    """Read the answer of a service's readiness page."""
    checks = {name: "" if text == "ok" else str(text) for name, text in body["checks"].items()}
    return Readiness(
        checks,
        body.get("notes", {}),
        frozenset(body.get("not_essential", ())),
        frozenset(body.get("could_not_look", ())),
    )
