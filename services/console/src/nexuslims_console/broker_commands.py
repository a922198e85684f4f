"""Commands about the broker itself; what they do is in ``actions``, imported when called."""

from pathlib import Path
from typing import Annotated

import typer

from nexuslims_shared.cli.options import Json

broker = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@broker.callback()
def _broker() -> None:
    """A broker of your own: its configuration, and a key for each of its users."""


@broker.command("init")
def init_broker(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Where to write; for the operator's eyes only."),
    ],
    *,
    servers: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            metavar="HOST",
            help="Name of a server; again for each of a cluster. Default: nats-1, nats-2, nats-3.",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST", help="Another name or address of the servers."),
    ] = None,
    tls: Annotated[bool, typer.Option(help="Encrypt, with certificates of our own.")] = True,
    periods: Annotated[
        bool, typer.Option("--periods", help="NX_PERIODS is set: the harvester opens periods.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the broker's configuration, and keys and certificates for compose and Kubernetes.

    Keys and certificates that are there are kept, also those that you put there; a file that you
    delete is made anew.
    """
    from nexuslims_console.actions import broker as work  # noqa: PLC0415 - heavy

    work.init(
        folder,
        servers=tuple(servers or ("nats-1", "nats-2", "nats-3")),
        names=tuple(names or ()),
        tls=tls,
        periods=periods,
        as_json=as_json,
    )
