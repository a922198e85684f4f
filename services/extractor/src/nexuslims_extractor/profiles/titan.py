"""FEI Titan microscopes of the incumbent's facility, with the warnings that it gives for them."""

from nexuslims_extractor.profiles.profile import Profile

TITAN_TEM = Profile(instrument="FEI-Titan-TEM", version="2", warnings=("operator", "specimen"))
TITAN_STEM = Profile(
    instrument="FEI-Titan-STEM", version="2", warnings=("operator", "specimen", "detector_type")
)
