"""What the checks of a service come to, as metrics."""

import asyncio
from typing import Final

from nexuslims_shared.health import Health, Outcome
from nexuslims_shared.telemetry.metrics import CHECK

INTERVAL_S: Final = 15.0


async def publish(health: Health) -> None:
    """Publish what the checks come to, without end: not only when somebody asks for readiness."""
    while True:
        results = await health.examination.results(list(health.checks))
        for name, result in results.items():
            for outcome in Outcome:
                CHECK.labels(name, outcome).set(result.outcome is outcome)
        await asyncio.sleep(INTERVAL_S)
