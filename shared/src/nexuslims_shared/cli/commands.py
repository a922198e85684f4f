"""Commands of every container and laptop: run, provision, doctor, config.

What they do is imported when they are called, so that ``nexuslims --help`` is quick.
"""

from pathlib import Path
from typing import Annotated

import typer

from nexuslims_shared.cli.options import Json


def run(service: Annotated[str, typer.Argument(help="Which one.", show_default=False)]) -> None:
    """Run one service in this process, as in a container."""
    from nexuslims_contracts.plugins import installed  # noqa: PLC0415 - heavy
    from nexuslims_shared.service import SERVICES, main  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings import read_settings  # noqa: PLC0415 - heavy

    names = list(installed(SERVICES))
    if service not in names:
        raise typer.BadParameter(
            f"no service {service!r} is installed here; there are: {', '.join(names)}"
        )
    main(service, read_settings())


def provision(
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the broker answers.")] = False,
) -> None:
    """Create or update what the system needs on the broker; running it again changes nothing."""
    from nexuslims_shared.cli import asynchronous  # noqa: PLC0415 - heavy
    from nexuslims_shared.cli.output import say  # noqa: PLC0415 - heavy
    from nexuslims_shared.facility import provision_at_hand  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings import read_settings  # noqa: PLC0415 - heavy

    asynchronous.run(provision_at_hand(read_settings(), wait=wait))
    say("the broker has all streams, consumers and buckets")


def doctor(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended, and say what was done.")
    ] = False,
    patience: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds that repairs may take to show.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Check settings, folders, broker, services and destinations; name what is wrong.

    What is checked depends on what is installed: a container checks what its service needs.
    Exits with 0 if all is well, 1 if something is wrong, 3 if something could not be looked at.
    """
    from nexuslims_shared.cli.diagnosis import diagnose  # noqa: PLC0415 - heavy

    raise typer.Exit(diagnose(repairing=repair, patience=patience, as_json=as_json))


config = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@config.callback()
def _config(context: typer.Context, *, as_json: Json = False) -> None:
    """The settings in effect, of destinations and calendars too: list (the default), check."""
    if context.invoked_subcommand is None:
        list_settings(as_json=as_json)


@config.command("list")
def list_settings(*, as_json: Json = False) -> None:
    """List the settings in effect; secrets are hidden."""
    from nexuslims_shared.cli.output import print_json, print_table, say  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings.display import display_all  # noqa: PLC0415 - heavy

    values, problems = display_all()
    if as_json:
        print_json(values)
    else:
        print_table(("variable", "value"), list(values.items()))
    for problem in problems:
        say(problem)
    raise typer.Exit(1 if problems else 0)


@config.command("check")
def check_settings(*, as_json: Json = False) -> None:
    """Account for every NX_ variable that is set: used, replaced by what, or unknown."""
    from dataclasses import asdict  # noqa: PLC0415 - heavy

    from nexuslims_shared.cli.output import print_json, print_table, say  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings.account import account  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings.display import display_problems  # noqa: PLC0415 - heavy

    found, problems = account(), display_problems()
    if as_json:
        print_json({"variables": [asdict(one) for one in found], "problems": problems})
    else:
        rows = [(one.name, one.use, one.remedy) for one in found]
        print_table(("variable", "use", "remedy"), rows, nothing="no NX_ variable is set")
        for problem in problems:
            say(problem)
    raise typer.Exit(1 if problems or any(one.use == "unknown" for one in found) else 0)


@config.command("dump")
def dump_settings(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; printed by default."),
    ] = None,
) -> None:
    """Write the settings in effect as an .env; secrets are left out."""
    from nexuslims_shared.settings.files import dumped  # noqa: PLC0415 - heavy

    if output is None:
        typer.echo(dumped(), nl=False)
    elif output.exists():
        raise typer.BadParameter(f"{output} exists", param_hint="--output")
    else:
        output.write_text(dumped(), encoding="utf-8")


@config.command("load")
def load_settings(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="An .env.", show_default=False)],
) -> None:
    """Take the settings of a file over as .env, if they are right; the .env there is kept."""
    from nexuslims_shared.cli.output import say  # noqa: PLC0415 - heavy
    from nexuslims_shared.settings.files import take_over  # noqa: PLC0415 - heavy

    kept = take_over(source)
    say(f".env has the settings of {source}" + (f"; the former one is {kept}" if kept else ""))


@config.command("edit")
def edit_settings(
    *,
    plain: Annotated[
        bool, typer.Option("--plain", help="Open .env in your own editor: VISUAL or EDITOR.")
    ] = False,
) -> None:
    """Fill in .env: a form that says what each setting is for, and checks what is typed."""
    from nexuslims_shared.cli.edit import edit_form, edit_plain  # noqa: PLC0415 - heavy

    if plain:
        edit_plain()
    else:
        edit_form()
    check_settings()
