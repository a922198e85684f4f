"""``python -m nexuslims_shared SERVICE|provision|doctor``: what a container runs."""

import asyncio
import sys

from nexuslims_contracts.errors import ContractError
from nexuslims_contracts.plugins import installed
from nexuslims_shared.broker import connect, provision
from nexuslims_shared.doctor import checks
from nexuslims_shared.errors import SharedError
from nexuslims_shared.service import SERVICES, broker_url, main
from nexuslims_shared.settings import Settings, read_settings


async def _provision(settings: Settings) -> None:
    client = await connect(broker_url(settings), name="provision")
    try:
        await provision(client.jetstream(), replicas=settings.stream_replicas)
    finally:
        await client.close()


def _examine(settings: Settings) -> int:
    """Say what the service of this image finds; 1 if something is wrong."""
    found = asyncio.run(checks(settings))
    for what, problem in found.items():
        print(f"{what}: {problem or 'ok'}")  # noqa: T201 - a command
    return 1 if any(found.values()) else 0


def _run(arguments: list[str]) -> int:
    names = [*installed(SERVICES), "provision", "doctor"]
    if len(arguments) != 1 or arguments[0] not in names:
        print(f"usage: python -m nexuslims_shared {{{','.join(names)}}}", file=sys.stderr)  # noqa: T201 - a command
        return 2
    try:
        settings = read_settings()
        if arguments[0] == "provision":
            asyncio.run(_provision(settings))
        elif arguments[0] == "doctor":
            return _examine(settings)
        else:
            main(arguments[0], settings)
    except (SharedError, ContractError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
