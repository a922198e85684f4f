"""Plugins by entry point: extractors, calendars, destinations, services, commands.

This is the one way in which anything installed is found. A plugin is registered in the
``pyproject.toml`` of its distribution; ``docs/plugins.md`` lists the groups.
"""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nexuslims_contracts.errors import PluginError


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin, not loaded yet.

    Parameters
    ----------
    name
        Its name within the group.
    entry_point
        Where it is, and which distribution brought it.
    """

    name: str
    entry_point: EntryPoint

    def load(self) -> Any:
        """Import the plugin and return the object that its entry point names.

        Raises
        ------
        PluginError
            If it cannot be imported; the message names the distribution to reinstall.
        """
        try:
            return self.entry_point.load()
        except Exception as error:
            owner = self.entry_point.dist.name if self.entry_point.dist else "its distribution"
            raise PluginError(
                f"plugin {self.name!r} ({self.entry_point.value}) cannot be loaded:"
                f" {type(error).__name__}: {error}; reinstall or remove {owner}"
            ) from error


def installed(group: str) -> dict[str, Plugin]:
    """Return the plugins of an entry point group by name, in the order of names; none is loaded."""
    return {
        point.name: Plugin(point.name, point)
        for point in sorted(entry_points(group=group), key=lambda point: point.name)
    }
