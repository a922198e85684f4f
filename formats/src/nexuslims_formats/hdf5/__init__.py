"""HDF5 files: links that lead elsewhere, lazy arrays, and the layouts read by our own code."""
