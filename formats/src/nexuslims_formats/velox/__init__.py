"""Velox: images, spectra and maps of Thermo Fisher TEMs, as HDF5."""
