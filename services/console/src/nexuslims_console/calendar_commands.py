"""Commands about the calendars; what they do is in ``actions``, imported when called."""

from typing import Annotated

import typer

from nexuslims_shared.cli.options import Json


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


def approve(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[list|SESSION|CALENDAR]", help="What to approve; `list` only shows it."
        ),
    ] = "list",
    *,
    everything: Annotated[bool, typer.Option("--all", help="Of all calendars.")] = False,
    as_json: Json = False,
) -> None:
    """Show what waits for an operator; or approve it.

    Many sessions or bookings that vanish, shrink or move at once look like a calendar that lost
    data: their records stay until the calendar has them again, or an operator approves.
    """
    from nexuslims_console.actions import approve as action  # noqa: PLC0415 - heavy

    if everything and what != "list":
        raise typer.BadParameter("give a session or a calendar, or --all")
    if everything:
        action.approve(action.EVERYTHING, as_json=as_json)
    elif what == "list":
        action.show_waiting(as_json=as_json)
    else:
        action.approve(what, as_json=as_json)
