"""JEOL Analysis Station: X-ray spectra, maps and images of SEM and TEM."""
