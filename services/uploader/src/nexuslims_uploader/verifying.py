"""A slow verification of all records, artifacts and instruments' files, with a metric.

It repairs nothing: `nexuslims verify --repair` does.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Final, TypeAlias, get_args

from nexuslims_shared.artifacts import write_artifact
from nexuslims_shared.context import ServiceContext
from nexuslims_shared.errors import DiskError
from nexuslims_shared.leases import Leases
from nexuslims_shared.telemetry.metrics import VERIFIED, VERIFY_FINDINGS
from nexuslims_uploader.findings import Problem
from nexuslims_uploader.rounds import Rounds, go_through, utc_now
from nexuslims_uploader.verify import Verifier

log = logging.getLogger(__name__)

NAME: Final = "verify-slowly"
FINDINGS: Final = ".verify-findings.json"
Kind: TypeAlias = tuple[str, str]
"""Where something is not well (a destination, artifacts or files), and what it is."""


class SlowVerification:
    """Verifies one session at a time, and counts what is not well by now.

    Parameters
    ----------
    verifier
        Looks, and changes nothing.
    records
        The records folder: what was found is kept there over a restart.
    """

    def __init__(self, verifier: Verifier, records: Path) -> None:
        self._verifier = verifier
        self._records = records
        self._found = _read(records / FINDINGS)
        self._publish()

    async def verify(self, session: str) -> None:
        """Look at one session.

        Parameters
        ----------
        session
            Its token.
        """
        _, _, findings = await self._verifier.look_at(session)
        kinds: list[Kind] = [(one.destination, one.problem) for one in findings]
        for one in findings:
            log.warning("%s %s at %s: %s", one.problem, one.path, one.destination, one.detail)
        if kinds == self._found.get(session, []):
            return
        self._found.pop(session, None)
        if kinds:
            self._found[session] = kinds
        self._publish()
        content = json.dumps(self._found).encode()
        try:
            await asyncio.to_thread(write_artifact, self._records, FINDINGS, content)
        except DiskError as error:
            log.warning("after a restart, what was found is found again: %s", error)

    def _publish(self) -> None:
        VERIFY_FINDINGS.clear()
        counts = Counter(kind for kinds in self._found.values() for kind in kinds)
        for kind in product(self._verifier.places, get_args(Problem)):
            VERIFY_FINDINGS.labels(*kind).set(counts[kind])


def _read(path: Path) -> dict[str, list[Kind]]:
    """Return what was found before a restart, by session; nothing if that cannot be read."""
    try:
        kept = json.loads(path.read_bytes())
        return {
            str(session): [(str(place), str(problem)) for place, problem in kinds]
            for session, kinds in kept.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        log.warning("what was found before is found again: %s: %s", path, error)
        return {}


def slow_verification(
    context: ServiceContext, verifier: Verifier, now: Callable[[], datetime] = utc_now
) -> Rounds:
    """Begin to verify one session after the other.

    Parameters
    ----------
    context
        The event store, and the settings.
    verifier
        Looks, and changes nothing.
    now
        The time.
    """
    work = SlowVerification(verifier, context.settings.records).verify
    hours = context.settings.verify_hours
    return Rounds(context, NAME, hours, work=work, gauge=VERIFIED, now=now)


async def keep_verifying(context: ServiceContext, verifier: Verifier, leases: Leases) -> None:
    """Verify slowly, for as long as the service runs.

    Parameters
    ----------
    context
        The uploader's.
    verifier
        Looks, and changes nothing.
    leases
        Where the one uploader that does it says so.
    """
    if context.settings.verify_hours:
        await go_through(NAME, lambda: slow_verification(context, verifier), leases)
