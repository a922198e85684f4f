"""Imported once by the server that workers are forked from: every reader, and what they need."""

import numpy  # noqa: ICN001 - imported for its cost, not its name
import PIL.Image

import nexuslims_extractor.core
import nexuslims_extractor.previews
from nexuslims_extractor.plugins import installed

__all__ = ["PIL", "nexuslims_extractor", "numpy"]

installed()
