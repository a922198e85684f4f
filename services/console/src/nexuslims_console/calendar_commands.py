"""Commands about the calendars; what they do is in ``actions``, imported when called."""

from typing import Annotated

import typer

from nexuslims_console.commands import Json


def consent(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also answers that read like a refusal.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show answers to the question for consent that are no consent, but read like one.

    Add a wording that means consent to NX_CONSENT_ANSWERS; the next sweep opens its sessions.
    """
    from nexuslims_console.actions import consent as action  # noqa: PLC0415 - heavy

    action.show_answers(everything=everything, as_json=as_json)
