"""EDAX: X-ray spectra and maps of Genesis and TEAM."""
