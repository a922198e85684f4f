"""The profiles there are: ours, and those of the facility in ``NX_LOCAL_PROFILES_PATH``."""

import importlib.util
import logging
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from nexuslims_extractor.errors import ProfileError
from nexuslims_extractor.profiles.incumbent import NAME as INCUMBENT
from nexuslims_extractor.profiles.incumbent import InstrumentProfile, adapted, registering
from nexuslims_extractor.profiles.profile import Profile
from nexuslims_extractor.profiles.titan import TITAN_STEM, TITAN_TEM

log = logging.getLogger(__name__)

BUILT_IN = {profile.instrument: profile for profile in (TITAN_STEM, TITAN_TEM)}


@cache
def load_profiles(folder: Path | None) -> Mapping[str, Profile]:
    """Return the profiles by instrument, read once; a facility's own replaces a built-in one.

    One that cannot be used is left out, and the log says why: files are read without it.

    Parameters
    ----------
    folder
        Its ``*.py`` are executed, but for those beginning with ``_``, and every :class:`Profile` at
        their top level counts. Who may write there may do what the service may.

    Raises
    ------
    ProfileError
        The folder is not there.
    """
    found, problems = _read(folder)
    for problem in problems:
        log.error("%s", problem)
    return {**BUILT_IN, **found}


def broken_profiles(folder: Path | None) -> list[str]:
    """Return what is wrong with profiles of the facility; each is named, with the remedy.

    Raises
    ------
    ProfileError
        The folder is not there.
    """
    return _read(folder)[1]


def _read(folder: Path | None) -> tuple[dict[str, Profile], list[str]]:
    if folder is None:
        return {}, []
    if not folder.is_dir():
        raise ProfileError(f"{folder} is no folder: correct NX_LOCAL_PROFILES_PATH, or unset it")
    found: dict[str, Profile] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            module, registered = _execute(path)
            profiles = [*_profiles(module), *(adapted(one, path) for one in registered)]
        except ProfileError as error:
            problems.append(str(error))
            continue
        for profile in profiles:
            if profile.instrument in found:
                problems.append(f"{path} has a second profile of {profile.instrument}: remove one")
                continue
            found[profile.instrument] = profile
            log.info("%s: profile %s of %s", path, profile.version, profile.instrument)
    return found, problems


def _execute(path: Path) -> tuple[ModuleType, list[InstrumentProfile]]:
    """Execute a file; return its module, and the profiles that it registers as NexusLIMS's do."""
    name = f"nexuslims_local_profiles.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProfileError(f"{path} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with registering() as registered:
            spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, ImportError) and (error.name or "").startswith(INCUMBENT):
            raise ProfileError(
                f"{path} is a profile for NexusLIMS 2.8 that needs more of it than profiles are"
                f" documented to ({error}): take that out, or make it a nexuslims_extractor"
                " Profile, see Instrument profiles in docs/operators.md; files are read without it"
            ) from error
        raise ProfileError(
            f"{path} cannot be executed: {type(error).__name__}: {error}; correct it, or remove it"
        ) from error
    return module, registered


def _profiles(module: ModuleType) -> list[Profile]:
    """Return a module's own profiles: one with two names is one, one imported from here is none."""
    unique = {id(value): value for value in vars(module).values() if isinstance(value, Profile)}
    return [profile for profile in unique.values() if profile not in BUILT_IN.values()]
