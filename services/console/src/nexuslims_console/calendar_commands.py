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
    calendar: Annotated[
        str, typer.Argument(metavar="[CALENDAR]", help="Whose withdrawals to approve.")
    ] = "",
    *,
    as_json: Json = False,
) -> None:
    """Show the withdrawals that wait for an operator; or approve those of a calendar.

    Many sessions or bookings that vanish at once look like a calendar that lost data: their records
    stay until the calendar has them again, or an operator approves.
    """
    from nexuslims_console.actions import approve as action  # noqa: PLC0415 - heavy

    if calendar:
        action.approve_withdrawals(calendar, as_json=as_json)
    else:
        action.show_waiting(as_json=as_json)
