import re

import pytest
from formats.tests.samples import SPX

from nexuslims_formats import read


def spectrum(tmp_path, text):
    path = tmp_path / "point.spx"
    path.write_text(text)
    return read(path)


@pytest.mark.parametrize("comma", [False, True])
def test_numbers_are_those_of_the_locale(tmp_path, comma):
    text = re.sub(r">(-?\d)\.(\d+E-?\d+)<", r">\1,\2<", SPX) if comma else SPX
    found = spectrum(tmp_path, text)
    assert found.outcome == "extracted", found.reason
    (dataset,) = found.datasets
    assert dataset.metadata["acceleration_voltage"] == {"value": 15, "unit": "kV"}
    assert dataset.metadata["magnification"]["value"] == pytest.approx(666.6666667)
    assert dataset.metadata["live_time"] == {"value": 7.385, "unit": "s"}
    (axis,) = dataset.axes
    assert (axis.scale, axis.offset, axis.unit) == (0.0025, -0.238925, "keV")
    assert dataset.creation_time.isoformat() == "2018-03-02T13:53:04+00:00"
    assert found.pixels().tolist() == [0, 0, 3, 12, 1]


def test_channels_that_are_missing_are_named(tmp_path):
    found = spectrum(tmp_path, SPX.replace("0,0,3,12,1", "0,0,3"))
    assert found.outcome == "partial"
    assert "3 of its 5 channels" in found.reason


@pytest.mark.parametrize("part", ["TRTESMAHeader", "TRTSpectrumHeader"])
def test_a_header_that_is_not_there_costs_its_fields(tmp_path, part):
    found = spectrum(tmp_path, SPX.replace(part, "Other"))
    assert found.datasets[0].shape == (5,)


def test_a_spectrum_is_one_under_the_name_of_any_xml(tmp_path):
    path = tmp_path / "point.xml"
    path.write_text(SPX)
    assert read(path).extractor.name == "bruker_spx"
