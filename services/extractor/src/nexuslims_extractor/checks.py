"""What ``nexuslims doctor`` says of the extractor: which walls its readers have around them."""

from nexuslims_extractor.cage.walls import Walls
from nexuslims_extractor.errors import ProfileError
from nexuslims_extractor.profiles import broken_profiles
from nexuslims_shared.doctor import Finding
from nexuslims_shared.settings import Settings
from nexuslims_shared.threads import in_thread


async def check_walls(settings: Settings) -> list[Finding]:
    """Name the walls that this host has, and those it lacks; neither is a fault of the system."""
    del settings
    return [Finding("worker walls", detail=describe(Walls.of_host()))]


async def check_profiles(settings: Settings) -> list[Finding]:
    """Name the facility's profiles that cannot be used: files are read without them."""
    folder = settings.local_profiles_path
    if folder is None:
        return []
    try:
        problems = await in_thread(lambda: broken_profiles(folder))
    except ProfileError as error:
        problems = [str(error)]
    return [Finding("instrument profiles", "; ".join(problems), str(folder))]


def describe(walls: Walls) -> str:
    """Return the walls that there are and those that there are not, in one line."""
    return "; ".join([", ".join(walls.present()), *walls.lacking()])
