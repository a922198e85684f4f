"""Images of EPU and Tomography, with the XML beside them."""

import numpy as np
import pytest
import tifffile
from formats.tests.samples import eer, write_mrc

from nexuslims_formats import read

EPU = """<?xml version="1.0" encoding="utf-8"?>
<MicroscopeImage xmlns="http://schemas.datacontract.org/2004/07/Fei.SharedObjects"
 xmlns:a="http://schemas.microsoft.com/2003/10/Serialization/Arrays">
<CustomData><a:KeyValueOfstringanyType><a:Key>DoseRate</a:Key><a:Value>7.5</a:Value>
</a:KeyValueOfstringanyType><a:KeyValueOfstringanyType><a:Key>Aperture[C2].Name</a:Key>
<a:Value>50</a:Value></a:KeyValueOfstringanyType></CustomData>
<SpatialScale><pixelSize><x><numericValue>8.4E-11</numericValue></x>
<y><numericValue>8.4E-11</numericValue></y></pixelSize></SpatialScale>
<microscopeData><acquisition><acquisitionDateTime>2022-02-11T10:11:12.5+01:00</acquisitionDateTime>
<camera><Binning xmlns:b="x"><b:x>2</b:x><b:y>2</b:y></Binning><ExposureTime>2.5</ExposureTime>
<Name>EF-Falcon</Name></camera></acquisition>
<gun><AccelerationVoltage>300000</AccelerationVoltage></gun>
<instrument><InstrumentModel>TITAN52336320</InstrumentModel></instrument>
<optics><Defocus>-1.5E-06</Defocus><SpotIndex>5</SpotIndex><TemMagnification>
<NominalMagnification>96000</NominalMagnification></TemMagnification></optics>
<stage><Position><A>0.1</A><B>0</B><X>0.00012</X><Y>-0.0002</Y><Z>1E-05</Z></Position></stage>
</microscopeData></MicroscopeImage>
"""
EXPECTED = {
    "acceleration_voltage": (300.0, "kV"), "exposure_time": (2.5, "s"), "defocus": (-1.5, "um"),
    "magnification": (96_000.0, "x"), "stage_x": (120.0, "um"), "stage_z": (0.01, "mm"),
    "pixel_width": (0.084, "nm"),
}  # fmt: skip


def image(folder, kind):
    pixels = np.zeros((1, 3, 4), "int16")
    if kind == "mrc":
        return write_mrc(folder / "hole.mrc", pixels, cell=0.84)
    tifffile.imwrite(folder / "hole.tiff", pixels[0], metadata=None)
    return folder / "hole.tiff"


@pytest.mark.parametrize("kind", ["mrc", "tiff"])
def test_the_xml_of_epu_describes_the_image_beside_it(tmp_path, kind):
    path = image(tmp_path, kind)
    path.with_suffix(".xml").write_text(EPU)
    reading = read(path)
    assert reading.outcome == "extracted", reading.reason
    (dataset,) = reading.datasets
    for field, (value, unit) in EXPECTED.items():
        assert dataset.metadata[field] == {"value": pytest.approx(value), "unit": unit}
    assert dataset.metadata["binning"] == "2 x 2"
    assert dataset.metadata["microscope"] == "TITAN52336320"
    assert dataset.extensions["epu_custom_dose_rate"] == 7.5
    assert (dataset.axes[-1].unit, dataset.data_type) == ("nm", "TEM_Imaging")
    assert dataset.creation_time.isoformat() == "2022-02-11T10:11:12+01:00"


@pytest.mark.parametrize("kind", ["mrc", "tiff"])
@pytest.mark.parametrize(("text", "outcome"), [(EPU[:-40], "partial"), ("<other/>", "extracted")])
def test_an_xml_that_is_damaged_is_named_and_another_left_alone(tmp_path, kind, text, outcome):
    path = image(tmp_path, kind)
    path.with_suffix(".xml").write_text(text)
    reading = read(path)
    assert reading.outcome == outcome
    assert "acceleration_voltage" not in reading.datasets[0].metadata


@pytest.mark.parametrize("beside", [True, False])
def test_a_movie_of_events_has_its_frames_and_what_the_camera_tells(tmp_path, beside):
    path = eer(tmp_path)
    if beside:
        path.with_suffix(".xml").write_text(EPU)
    reading = read(path)
    assert (reading.outcome, reading.extractor.name) == ("extracted", "eer"), reading.reason
    (dataset,) = reading.datasets
    assert (dataset.shape, dataset.axes[0].name) == ((3, 32, 64), "frame")
    assert dataset.metadata["exposure_time"] == {"value": 2.5, "unit": "s"}
    assert dataset.metadata["detector_type"] == "Falcon 4i"
    assert dataset.creation_time.isoformat() == "2024-05-06T07:08:09+02:00"
    assert ("acceleration_voltage" in dataset.metadata) == beside
