"""Options that several commands take."""

from typing import Annotated, TypeAlias

import typer

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output.")
]
