"""What is particular to one instrument of a facility, beyond what its file format tells."""

from nexuslims_extractor.profiles.known import broken_profiles, load_profiles
from nexuslims_extractor.profiles.profile import Profile, with_problem, with_profile

__all__ = ["Profile", "broken_profiles", "load_profiles", "with_problem", "with_profile"]
