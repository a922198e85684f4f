"""Options that several commands take."""

from typing import Annotated, TypeAlias

import typer

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output.")
]

Since: TypeAlias = Annotated[
    str, typer.Option("--from", metavar="DATE", help="Only sessions after this.")
]
Until: TypeAlias = Annotated[
    str, typer.Option("--to", metavar="DATE", help="Only sessions before this, or its end.")
]
Patience: TypeAlias = Annotated[
    float, typer.Option(help="Seconds to wait before giving up.", min=1)
]
