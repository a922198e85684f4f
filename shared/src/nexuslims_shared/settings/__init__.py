"""Settings: ``NX_*`` from the environment or ``.env``, secrets also from files."""

from nexuslims_shared.settings.core import Settings, make_folder, make_state_folder, read_settings
from nexuslims_shared.settings.groups import Environment, Numbered, any_given, read

__all__ = [
    "Environment",
    "Numbered",
    "Settings",
    "any_given",
    "make_folder",
    "make_state_folder",
    "read",
    "read_settings",
]
