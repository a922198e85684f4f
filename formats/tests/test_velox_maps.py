"""Maps of spectra in Velox files: streams of events, of which the headers are read."""

import json

import h5py
import numpy as np
import pytest

from nexuslims_formats.rosettasciio.workarounds import _velox_map

LIKE = {
    "data": np.zeros(4), "metadata": {"General": {"title": "HAADF"}},
    "axes": [{"name": "Energy", "size": 4, "scale": 0.005, "offset": -0.25, "units": "keV"}],
    "original_metadata": {},
}  # fmt: skip


@pytest.fixture
def velox(tmp_path):
    """Open a file with one stream of events: ``velox(raster, area)``."""
    files = []

    def write(raster, area):
        file = h5py.File(tmp_path / f"{len(files)}.emd", "w")
        files.append(file)
        stream = file.create_group("Data/SpectrumStream/abc")
        settings = {"bincount": "4096"} | ({"RasterScanDefinition": raster} if raster else {})
        stream["AcquisitionSettings"] = [json.dumps(settings).encode()]
        tree = {
            "Scan": {"ScanArea": area},
            "BinaryResult": {"PixelSize": {"width": "2e-09", "height": "3e-09"}},
        }
        content = json.dumps(tree).encode().ljust(2000, b"\0")
        stream["Metadata"] = np.frombuffer(content, "uint8")[:, None]
        return file

    yield write
    for file in files:
        file.close()


WHOLE = {"left": "0", "top": "0", "right": "1", "bottom": "1"}
PART = {"left": "0.4140625", "top": "0.3671875", "right": "0.5703125", "bottom": "0.4921875"}
RASTER = {"Width": "128", "Height": "64"}


@pytest.mark.parametrize(("area", "shape"), [(WHOLE, (64, 128, 4096)), (PART, (8, 20, 4096))])
def test_a_map_covers_the_part_of_the_scan_that_was_selected(velox, area, shape):
    found = _velox_map(velox(RASTER, area), [LIKE], [])
    assert found["data"].shape == shape
    axes = [(axis["name"], axis["size"], axis["scale"], axis["units"]) for axis in found["axes"]]
    assert axes == [
        ("y", shape[0], pytest.approx(3.0), "nm"), ("x", shape[1], pytest.approx(2.0), "nm"),
        ("Energy", 4096, 0.005, "keV"),
    ]  # fmt: skip
    assert [axis["index_in_array"] for axis in found["axes"]] == [0, 1, 2]


def test_without_a_raster_or_a_stream_there_is_no_map(velox, tmp_path):
    assert _velox_map(velox(None, WHOLE), [LIKE], []) is None
    with h5py.File(tmp_path / "none.emd", "w") as file:
        assert _velox_map(file, [LIKE], []) is None
