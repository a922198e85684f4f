"""Electron backscatter diffraction: maps of orientations, and the patterns they come from."""
