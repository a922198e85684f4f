"""A fake CDCS, as faithful as recorded exchanges make it."""

from nexuslims_uploader.testing.cdcs.server import FakeCdcs

__all__ = ["FakeCdcs"]
