"""Imported once by the server that workers are forked from: every reader, and what they need."""

import numpy  # noqa: ICN001 - imported for its cost, not its name
import PIL.Image

import nexuslims_extractor.core
from nexuslims_contracts.units.registry import registry
from nexuslims_extractor.cage.warm import load_libraries, warm
from nexuslims_formats.registry import installed

__all__ = ["PIL", "nexuslims_extractor", "numpy"]

installed()
load_libraries()
registry()  # seldom needed, but slow to load
warm()
