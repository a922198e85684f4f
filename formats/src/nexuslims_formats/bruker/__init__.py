"""Bruker Esprit: X-ray spectra and maps."""
