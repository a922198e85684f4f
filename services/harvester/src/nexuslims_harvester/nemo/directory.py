"""What the usage events of a NEMO refer to, kept between polls: tools, users, projects.

A poll in which nothing new is referred to asks for none of them. A sweep asks for all again.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from nexuslims_harvester.calendar import Entries, EntryProblem
from nexuslims_harvester.nemo import payload
from nexuslims_harvester.nemo.client import NemoClient
from nexuslims_shared.instruments import InstrumentEntry

P = TypeVar("P", bound=payload.Payload)

TOOLS_LAST_S: Final = 3600.0
"""How long the list of tools is believed."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a NEMO, as far as they concern us.

    Parameters
    ----------
    instruments
        The instrument, by tool: of the tools that are instruments, and of their families.
    families
        The tool that stands for its family, by tool; a tool that is missing stands for itself.
    vanished
        Tools that are instruments of ours and that NEMO does not have.
    """

    instruments: Mapping[int, InstrumentEntry] = field(default_factory=dict)
    families: Mapping[int, int] = field(default_factory=dict)
    vanished: frozenset[int] = frozenset()

    def relatives(self, tools: Iterable[int]) -> set[int]:
        """Return these tools and all others of their families."""
        chosen = set(tools)
        wanted = {self.families.get(tool, tool) for tool in chosen}
        return chosen | {tool for tool, first in self.families.items() if first in wanted}


def arrange_tools(own: Mapping[int, InstrumentEntry], objects: Iterable[Any]) -> Tools:
    """Find out which tools are used as which of our instruments.

    NEMO treats a tool and its children as one: whichever of them is booked or used. A tool that is
    no instrument of ours counts as its parent, or as the only instrument in its family.

    Parameters
    ----------
    own
        Our instruments by the number of their tool.
    objects
        The tools as NEMO gives them.
    """
    parents = {
        one["id"]: one.get("parent_tool")
        for one in objects
        if isinstance(one, dict) and isinstance(one.get("id"), int)
    }
    families = {
        tool: parent if isinstance(parent, int) and parent in parents else tool
        for tool, parent in parents.items()
    }
    instruments: dict[int, InstrumentEntry] = {}
    for tool, first in families.items():
        ours = [one for one in own if families.get(one) == first]
        standing_for = next((one for one in (tool, first) if one in own), None)
        if standing_for is None and len(ours) == 1:
            (standing_for,) = ours
        if standing_for is not None:
            instruments[tool] = own[standing_for]
    return Tools(instruments, families, frozenset(own.keys() - parents.keys()))


class Known(Generic[P]):
    """Objects of one kind that were asked for, by id.

    Parameters
    ----------
    calendar
        Its name, for messages.
    endpoint
        Where NEMO has them.
    model
        What they are.
    """

    def __init__(self, calendar: str, endpoint: str, model: type[P]) -> None:
        self._calendar = calendar
        self._endpoint = endpoint
        self._model = model
        self._found: dict[int, P] = {}

    def forget(self) -> None:
        """Ask for all of them again."""
        self._found.clear()

    async def among(
        self, client: NemoClient, wanted: Collection[int], problems: Entries
    ) -> Mapping[int, P]:
        """Return what is known by now, after asking for those that are wanted and not known yet.

        Parameters
        ----------
        client
            An open connection.
        wanted
            Their ids; those that NEMO does not have are missing in the answer.
        problems
            Grows by what is wrong with one.
        """
        missing = sorted(set(wanted) - self._found.keys())
        objects = await client.by_ids(self._endpoint, missing)
        self._found |= read_objects(self._calendar, self._model, self._endpoint, objects, problems)
        return self._found


class Directory:
    """The tools, users and projects of one NEMO.

    Parameters
    ----------
    name
        Of the calendar, for messages.
    own
        Our instruments by the number of their tool.
    """

    def __init__(self, name: str, own: Mapping[int, InstrumentEntry]) -> None:
        self._name = name
        self._own = own
        self._tools = Tools()
        self._tools_until = 0.0
        self.users = Known(name, "users", payload.User)
        self.projects = Known(name, "projects", payload.Project)

    def forget(self) -> None:
        """Ask for everything again."""
        self._tools_until = 0.0
        self.users.forget()
        self.projects.forget()

    @property
    def knows_tools(self) -> bool:
        """Whether the tools need not be asked for."""
        return time.monotonic() < self._tools_until

    def forget_tools(self) -> None:
        """Ask for the tools again: one of them has vanished."""
        self._tools_until = 0.0

    async def tools(self, client: NemoClient, problems: Entries) -> Tools:
        """Return the tools; those that vanished are problems.

        Parameters
        ----------
        client
            An open connection.
        problems
            Grows by what is wrong.
        """
        if not self.knows_tools:
            self._tools = arrange_tools(self._own, await client.all("tools", {}))
            self._tools_until = time.monotonic() + TOOLS_LAST_S
        problems += [
            EntryProblem(
                f"{self._name} tools/{number}",
                f"there is no such tool: correct calendar_id of instrument {self._own[number].pid}",
            )
            for number in sorted(self._tools.vanished)
        ]
        return self._tools


def read_objects(
    calendar: str, model: type[P], endpoint: str, objects: Iterable[Any], problems: Entries
) -> dict[int, P]:
    """Check what NEMO gave, by id; what is wrong with one does not concern the others.

    Parameters
    ----------
    calendar, endpoint
        Where the objects come from, for messages.
    model
        What they are.
    objects
        As NEMO gave them.
    problems
        Grows by what is wrong.
    """
    found: dict[int, P] = {}
    for one in objects:
        try:
            read = model.model_validate(one)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "object"
            number = one.get("id", "?") if isinstance(one, dict) else "?"
            problems.append(
                EntryProblem(f"{calendar} {endpoint}/{number}", f"{where}: {first['msg']}")
            )
        else:
            found[read.id] = read
    return found
