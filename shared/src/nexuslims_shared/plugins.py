"""Plugins by entry point: extractors, calendars, destinations, services, commands."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nexuslims_shared.errors import PluginError


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin, not loaded yet."""

    name: str
    entry_point: EntryPoint

    def load(self) -> Any:
        """Import the plugin.

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
    """Return the plugins of a group by name, in the order of names."""
    return {
        point.name: Plugin(point.name, point)
        for point in sorted(entry_points(group=group), key=lambda point: point.name)
    }
