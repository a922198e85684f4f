"""Help in the form that people know: ``--limit N``, ``extract FILES...``, without Python types."""

from typing import Any, Final, cast

_METAVARS: Final = {int: "N", float: "NUMBER"}


def with_plain_help(command: Any) -> Any:
    """Name the values of a command's parameters, and of its sub-commands', as people write them.

    Parameters
    ----------
    command
        As typer makes it.
    """
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            _name_argument(parameter)
        elif parameter.metavar is None:
            parameter.metavar = _metavar(parameter)
    for inner in getattr(command, "commands", {}).values():
        with_plain_help(inner)
    return command


def _metavar(parameter: Any) -> str:
    described = getattr(parameter, "type_descriptor", None)
    if choices := getattr(described, "choices", None):
        return "|".join(map(str, choices))
    annotation = getattr(described, "annotation", str)
    name = cast("str", getattr(annotation, "__name__", ""))
    return _METAVARS.get(annotation, "PATH" if name.endswith("Path") else "TEXT")


def _name_argument(argument: Any) -> None:
    """Name an argument in capitals, with brackets only where it may be left out."""
    many = argument.nargs != 1
    name = argument.metavar or argument.name.upper()
    name = name if name.endswith("...") or not many else f"{name}..."
    argument.metavar = name
    argument.display_type_rich = lambda ctx: None  # noqa: ARG005 - the library's own signature
    argument._usage_display_name = (  # noqa: SLF001 - there is no other way
        lambda: name if argument.required else f"[{name.strip('[]')}]"
    )
