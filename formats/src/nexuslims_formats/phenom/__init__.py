"""Phenom ProSuite: projects of X-ray analyses on images of a desktop SEM."""
