"""The tests of an extractor: a whole file, what is wrong with others, and that it is chosen."""

from pathlib import Path

import numpy as np
import pytest
from acme_nexuslims import AcmeExtractor

from nexuslims_formats import read
from nexuslims_formats.testing import ExtractorBehaviour

HEADER = (
    b"ACME1\nRows=30\nColumns=40\nHighTension=15000\nWD=8.2\nDwellTime=3\nPixelSize=2.5\n"
    b"Time=2026-03-04T05:06:07+01:00\n\n"
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.acm"
    path.write_bytes(HEADER + np.arange(1200, dtype="<u2").tobytes())
    return path


class TestBehaviour(ExtractorBehaviour):
    """What the port asks of every extractor."""

    @pytest.fixture
    def extractor(self) -> AcmeExtractor:
        return AcmeExtractor()

    @pytest.fixture
    def sample(self, image: Path) -> Path:
        return image


def test_a_whole_file(image: Path) -> None:
    done = read(image)
    assert (done.outcome, done.extractor.name) == ("extracted", "acme")
    (dataset,) = done.datasets
    assert dataset.metadata["acceleration_voltage"] == {"value": 15.0, "unit": "kV"}
    assert dataset.creation_time.isoformat() == "2026-03-04T05:06:07+01:00"
    assert (dataset.shape, dataset.axes[1].unit) == ((30, 40), "nm")
    assert (done.preview() or b"").startswith(b"\x89PNG")


def test_another_name(image: Path) -> None:
    assert read(image.rename(image.with_suffix(".dat"))).extractor.name == "acme"


@pytest.mark.parametrize(
    ("content", "outcome", "words"),
    [
        (HEADER + bytes(100), "partial", "lacks its last 2300 bytes"),
        (HEADER[:20], "failed", "ends within its header"),
        (HEADER.replace(b"Rows=30", b"Rows=9999999"), "failed", "9999999 x 40 pixels"),
    ],
)
def test_a_damaged_file(image: Path, content: bytes, outcome: str, words: str) -> None:
    image.write_bytes(content)
    done = read(image)
    assert done.outcome == outcome
    assert words in str(done.reason)
