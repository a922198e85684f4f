"""The profiles there are: ours, and those of the facility in ``NX_LOCAL_PROFILES_PATH``."""

import importlib.util
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from nexuslims_extractor.errors import ProfileError
from nexuslims_extractor.profiles.incumbent import InstrumentProfile, adapted, registering
from nexuslims_extractor.profiles.profile import Profile
from nexuslims_extractor.profiles.titan import TITAN_STEM, TITAN_TEM
from nexuslims_formats.incumbent import NAME as INCUMBENT

log = logging.getLogger(__name__)

BUILT_IN = {profile.instrument: profile for profile in (TITAN_STEM, TITAN_TEM)}


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file of the facility that cannot be used.

    Parameters
    ----------
    path
        The file.
    problem
        What is wrong with it, and the remedy.
    """

    path: Path
    problem: str

    def is_about(self, instrument: str) -> bool:
        """Tell whether the file names an instrument, so that its profile is missed."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return any(f"{quote}{instrument}{quote}" in text for quote in "'\"")


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles that are used, and the files that cannot be.

    Parameters
    ----------
    by_instrument
        Profiles by PID; a facility's own replaces a built-in one.
    unusable
        What was left out.
    """

    by_instrument: Mapping[str, Profile]
    unusable: tuple[Unusable, ...]

    def missing(self, instrument: str) -> str:
        """Say why the profile that the facility has of an instrument is not used; empty if it is.

        Parameters
        ----------
        instrument
            Its PID.
        """
        if self.by_instrument.get(instrument) is not BUILT_IN.get(instrument):
            return ""
        for one in self.unusable:
            if one.is_about(instrument):
                problem = one.problem.replace(str(one.path), one.path.name)
                return f"the instrument's profile is not used: {problem}"
        return ""


@cache
def load_profiles(folder: Path | None) -> Profiles:
    """Return the profiles, read once.

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
    found, unusable = _read(folder)
    for one in unusable:
        log.error("%s", one.problem)
    return Profiles({**BUILT_IN, **found}, tuple(unusable))


def broken_profiles(folder: Path | None) -> list[str]:
    """Return what is wrong with profiles of the facility; each is named, with the remedy.

    Raises
    ------
    ProfileError
        The folder is not there.
    """
    return [one.problem for one in _read(folder)[1]]


def _read(folder: Path | None) -> tuple[dict[str, Profile], list[Unusable]]:
    if folder is None:
        return {}, []
    if not folder.is_dir():
        raise ProfileError(f"{folder} is no folder: correct NX_LOCAL_PROFILES_PATH, or unset it")
    found: dict[str, Profile] = {}
    unusable: list[Unusable] = []
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            module, registered = _execute(path)
            profiles = [*_profiles(module), *(adapted(one, path) for one in registered)]
        except ProfileError as error:
            unusable.append(Unusable(path, str(error)))
            continue
        for profile in profiles:
            if profile.instrument in found:
                problem = f"{path} has a second profile of {profile.instrument}: remove one"
                unusable.append(Unusable(path, problem))
                continue
            found[profile.instrument] = profile
            log.info("%s: profile %s of %s", path, profile.version, profile.instrument)
    return found, unusable


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
