"""For the tests of extractors: the behaviour that every one has, and files made from nothing.

>>> class TestAcme(ExtractorBehaviour):  # doctest: +SKIP
...     @pytest.fixture
...     def extractor(self):
...         return AcmeExtractor()
...
...     @pytest.fixture
...     def sample(self, tmp_path):
...         return write_acme_file(tmp_path / "image.acm")
"""

from nexuslims_formats.testing.behaviour import ExtractorBehaviour
from nexuslims_formats.testing.files import DmFile, write_fei_tiff

__all__ = ["DmFile", "ExtractorBehaviour", "write_fei_tiff"]
