"""What ``nexuslims doctor`` says of the extractor: which walls its readers have around them."""

from nexuslims_extractor.cage.walls import Walls
from nexuslims_shared.doctor import Finding
from nexuslims_shared.settings import Settings


async def check_walls(settings: Settings) -> list[Finding]:
    """Name the walls that this host has, and those it lacks; neither is a fault of the system."""
    del settings
    return [Finding("worker walls", detail=describe(Walls.of_host()))]


def describe(walls: Walls) -> str:
    """Return the walls that there are and those that there are not, in one line."""
    return "; ".join([", ".join(walls.present()), *walls.lacking()])
