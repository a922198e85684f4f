"""Spectra of light and streak images, whose formats rosettasciio reads: what we make of them."""

import io

import h5py
import numpy as np
import pytest
from formats.tests import light_samples as samples
from PIL import Image
from rsciio.delmic import _api as delmic_api
from rsciio.digitalsurf import file_writer

from nexuslims_formats import read
from nexuslims_formats.rosettasciio import digitalsurf, light, reader
from nexuslims_formats.rosettasciio.light import delmic
from nexuslims_formats.rosettasciio.parts import TYPE


def only(path):
    reading = read(path)
    assert reading.outcome == "extracted", reading.reason
    (dataset,) = reading.datasets
    return dataset


def axis(dataset, number=0):
    found = dataset.axes[number]
    return (found.name, found.size, pytest.approx(found.scale), found.unit, found.navigate)


def test_times_of_renishaw_are_counted_in_ticks_of_100_ns(tmp_path):
    times = samples.START + 31_000_000 * np.arange(3)
    found = only(samples.wdf(tmp_path / "a.wdf", 3, 2, [(samples.TIME, times)]))
    assert (found.shape, found.dataset_type) == ((3, 8), "SpectrumImage")
    assert axis(found) == ("Time", 3, 3.1, "s", True)
    assert found.creation_time.isoformat() == "2022-02-03T16:13:44+00:00"
    assert "no zone told" not in found.extensions["creation_time_source"]


@pytest.mark.parametrize(
    ("quantity", "values", "words"),
    [
        (samples.HEIGHT, [0, 1, 5], "the axis Z, 0 to 5 um, is not evenly spaced: its mean step"),
        (samples.FOCUS, [40, 42, 41], "the axis FocusTrack_Z, 40 to 41, is not evenly spaced: it"),
        (samples.TIME, samples.START + 1e7 * np.array([0, 1, 60]), "the axis Time, 0 to 60 s, is"),
    ],
)
def test_steps_of_a_series_that_differ_are_named(tmp_path, quantity, values, words):
    found = only(samples.wdf(tmp_path / "a.wdf", 3, 2, [(quantity, values)]))
    assert any(one.startswith(words) for one in found.warnings), found.warnings


def test_a_series_of_renishaw_over_heights_and_a_map(tmp_path):
    heights = [(samples.HEIGHT, [-1.0, -0.5, 0.0]), (samples.TIME, [samples.START] * 3)]
    found = only(samples.wdf(tmp_path / "a.wdf", 3, 2, heights))
    assert (axis(found), found.axes[0].offset) == (("Z", 3, 0.5, "um", True), -1.0)
    assert axis(found, 1) == ("Raman Shift", 8, 10.0, "1/cm", False)
    places = [(samples.PLACE_X, [5.0, 6, 7] * 2), (samples.PLACE_Y, [1.0, 1, 1, 3, 3, 3])]
    grid = ((5.0, 1.0, 0.0), (1.0, 2.0, 0.0), (3, 2, 1))
    found = only(samples.wdf(tmp_path / "map.wdf", 6, 3, places, grid))
    assert (found.shape, found.dtype) == ((2, 3, 8), "float32")
    assert [axis(found, at)[:3] for at in (0, 1)] == [("Y", 2, 2.0), ("X", 3, 1.0)]


def test_a_map_that_was_ended_early_says_so(tmp_path):
    places = [(samples.PLACE_X, [0.0, 1, 2, 0, 1]), (samples.PLACE_Y, [0.0, 0, 0, 1, 1])]
    grid = ((0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (3, 3, 1))
    found = only(samples.wdf(tmp_path / "a.wdf", 5, 3, places, grid, planned=9))
    assert found.shape == (1, 3, 8)
    assert "the measurement was ended after 5 of 9 spectra" in found.warnings


def test_spectra_stay_in_their_file_however_many_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "_EAGER_BYTES", 0)
    found = read(samples.wdf(tmp_path / "a.wdf", 1, 1))
    assert found.outcome == "extracted"
    assert found.pixels().tolist() == list(range(7, -1, -1))
    path = samples.labspec(tmp_path / "a.xml", [1.0, 2.0], "nm", {})
    assert "its reader takes it whole" in (read(path).reason or "")


def test_the_picture_in_white_light_has_rows_before_columns(tmp_path):
    found = read(samples.wdf(tmp_path / "a.wdf", 1, 1, picture=(40, 30)))
    spectrum, picture = found.datasets
    assert spectrum.dataset_type == "Spectrum"
    assert (picture.dataset_type, picture.dtype) == ("Image", "uint8")
    assert [one.name for one in picture.axes[:2]] == ["y", "x"]
    assert [one.size for one in picture.axes[:2]] == [30, 40]
    assert found.preview(1) is not None


@pytest.mark.parametrize(
    ("date", "comment", "encoding"),
    [
        ("20/01/2023", "", "utf-8"),
        ("20.01.2023", "Kürze", "cp1252"),
        ("1/20/2023", "", "utf-8"),
        ("2023/01/20", "露光時間は五秒です", "cp932"),
    ],
)
def test_the_header_of_a_streak_image_is_in_the_words_of_its_computer(
    tmp_path, date, comment, encoding
):
    path = tmp_path / "a.img"
    found = only(samples.hamamatsu(path, date=date, comment=comment, encoding=encoding))
    assert (found.shape, found.dataset_type) == ((4, 6), "Image")
    assert axis(found) == ("Time", 4, 0.5, "us", False)
    assert axis(found, 1) == ("Wavelength", 6, 0.25, "nm", False)
    assert found.creation_time.isoformat() == "2023-01-20T11:34:55+00:00"
    assert found.metadata["detector_type"] == "StreakCamera"
    assert found.metadata["acquisition_time"] == {"value": 300.0, "unit": "s"}


def test_a_wavelength_beside_a_time_is_no_scale(tmp_path):
    found = read(samples.hamamatsu(tmp_path / "a.img"))
    picture = np.asarray(Image.open(io.BytesIO(found.preview())).convert("L"))
    assert picture[-1].min() > 150  # the brightest row of the image, and no strip below it


@pytest.mark.parametrize(
    ("unit", "places", "shape", "expected"),
    [
        ("nm", {}, (4,), ("Wavelength", 4, 0.5, "nm", False)),
        ("1/cm", {}, (4,), ("Raman Shift", 4, 0.5, "1/cm", False)),
        ("eV", {"Y": [0, 0.5, 1]}, (3, 4), ("Y", 3, 0.5, "um", True)),
        ("nm", {"X": [0, 1, 2], "Y": [0, 2]}, (2, 3, 4), ("Y", 2, 2.0, "um", True)),
    ],
)
def test_spectra_lines_and_maps_of_labspec(tmp_path, unit, places, shape, expected):
    channels = [535.5, 535.0, 534.5, 534.0]
    found = only(samples.labspec(tmp_path / "a.xml", channels, unit, places))
    kind = "SpectrumImage" if places else "Spectrum"
    assert (found.shape, found.dataset_type, axis(found)) == (shape, kind, expected)
    assert found.creation_time.isoformat() == "2022-06-27T16:26:24+00:00"
    assert found.metadata["detector_type"] == "Symphony VIS"
    assert found.metadata["exposure_time"] == {"value": 3.0, "unit": "s"}


@pytest.mark.parametrize(
    ("places", "shape", "kind", "expected"),
    [
        ({}, (4,), "Spectrum", ("Wavelength", 4, 0.5, "nm", False)),
        ({}, (3, 4), "Image", ("time", 3, 4.0, "s", False)),
        ({"X": ("-5", "2.5", "3")}, (3, 4), "SpectrumImage", ("X", 3, 2.5, "um", True)),
        ({"X": ("0", "2", "3"), "Y": ("0", "1", "2")}, (2, 3, 4), "SpectrumImage",
         ("Y", 2, 1.0, "um", True)),
    ],
)  # fmt: skip
def test_spectra_series_lines_and_maps_of_trivista(tmp_path, places, shape, kind, expected):
    frames = int(np.prod(shape[:-1]))
    found = only(samples.trivista(tmp_path / "a.tvf", frames, places))
    assert (found.shape, found.dataset_type, axis(found)) == (shape, kind, expected)
    assert found.creation_time.isoformat() == "2022-06-14T13:34:27+00:00"
    assert found.metadata["acquisition_time"] == {"value": 6.0, "unit": "s"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Y", "X", "Angle", "Wavelength"), "SpectrumImage"),
        (("Y", "X", "Angle B", "Angle A"), "Image"),
        (("Y", "X", "Wavelength"), None),
        (("Time", "Wavelength"), None),
    ],
)
def test_light_at_each_point_is_no_diffraction_and_its_times_are_in_utc(names, expected):
    axes = [{"name": name, "navigate": name in "XY"} for name in names]
    general = {"date": "2025-01-20", "time": "08:53:42"}
    found = delmic({"axes": axes, "metadata": {"General": general}})
    assert found.get(TYPE) == expected
    assert found["metadata"]["General"]["time_zone"] == "UTC"


@pytest.mark.parametrize("is_large", [False, True])
def test_of_a_large_delmic_file_the_values_are_not_taken(tmp_path, monkeypatch, is_large):
    monkeypatch.setattr(light, "_WHOLE_BYTES", 0 if is_large else 1 << 20)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        image = file.create_group("Acquisition0/ImageData")
        image["Image"] = np.arange(320, dtype="uint16").reshape(16, 1, 1, 4, 5)
        for dimension, label in zip(image["Image"].dims, "CTZYX", strict=True):
            dimension.label = label
        image["DimensionScaleC"] = np.linspace(400e-9, 700e-9, 16)
        for name in "XY":
            image[f"DimensionScale{name}"], image[f"{name}Offset"] = 1e-7, 0.0
        image["TOffset"] = 1_737_363_222.0
        physical = file.create_group("Acquisition0/PhysicalData")
        physical["Title"] = np.bytes_("Spectrum")
        physical["ChannelDescription"] = [np.bytes_("Spectrum")]
        physical["ChannelDescription"].attrs["State"] = [112]
        file.create_group("Acquisition0/SVIData")["Company"] = np.bytes_("Delmic")
    theirs = delmic_api.load_image
    found = read(tmp_path / "a.h5")
    (dataset,) = found.datasets
    assert delmic_api.load_image is theirs, "others may use the library beside us"
    assert (found.outcome, dataset.dataset_type) == ("extracted", "SpectrumImage")
    assert (dataset.shape, dataset.dtype) == ((4, 5, 16), "uint16")
    assert axis(dataset, 1) == ("X", 5, 100.0, "nm", True)
    assert dataset.creation_time.isoformat() == "2025-01-20T08:53:42+00:00"
    assert (found.pixels() is None) == is_large


def surface(path, values, names):
    axes = [
        {"name": name, "size": size, "scale": 0.5, "offset": 1.0, "units": "um",
         "navigate": len(names) > 2 and name in "xy", "index_in_array": at}
        for at, (name, size) in enumerate(zip(names, values.shape, strict=True))
    ]  # fmt: skip
    trees = {"metadata": {"General": {}, "Signal": {"signal_type": ""}}, "original_metadata": {}}
    signal = {"data": values, "axes": axes, **trees}
    file_writer(str(path), signal, compressed=path.stem == "packed")
    return path


@pytest.mark.parametrize("name", ["plain.sur", "packed.sur"])
@pytest.mark.parametrize("names", ["yx", "yxw"])
def test_of_a_large_surface_the_values_are_passed_over(tmp_path, monkeypatch, name, names):
    values = np.arange(24.0).reshape((4, 6) if names == "yx" else (2, 3, 4))
    path = surface(tmp_path / name, values, names)
    whole = read(path)
    monkeypatch.setattr(digitalsurf, "_WHOLE_BYTES", 0)
    headers = read(path)
    assert (whole.outcome, headers.outcome) == ("extracted", "extracted")
    assert whole.datasets == headers.datasets
    assert whole.datasets[0].shape == values.shape
    assert (whole.pixels() is None, headers.pixels() is None) == (False, True)
    path.write_bytes(path.read_bytes()[:-8])
    assert "ends within its values" in read(path).reason


def test_a_tiff_of_a_streak_camera_has_wavelengths_over_time(tmp_path):
    found = only(samples.streak_tiff(tmp_path / "scan.tif"))
    assert (found.shape, found.dtype, found.dataset_type) == ((4, 6), "uint16", "Image")
    assert axis(found) == ("Time", 4, 0.5, "us", False)
    assert (axis(found, 1), found.axes[1].offset) == (("Wavelength", 6, 0.25, "nm", False), 472)
    assert found.creation_time.isoformat() == "2023-01-20T11:34:55+00:00"
    assert found.metadata["exposure_time"] == {"value": 5, "unit": "s"}
    assert (found.metadata["detector_type"], found.warnings) == ("C5680", ())


def test_times_of_a_streak_camera_that_differ_are_named(tmp_path):
    found = only(samples.streak_tiff(tmp_path / "scan.tif", times=(0.0, 0.5, 1.1, 1.8)))
    assert axis(found) == ("Time", 4, 0.6, "us", False)
    assert found.warnings == (
        "the axis Time, 0 to 1.8 us, is not evenly spaced: its mean step is shown",
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"x": "Other"}, ()), ({"cut": 4}, ("the values of its axis Time are not in the file",))],
)
def test_an_axis_of_a_streak_camera_without_values_counts_pixels(tmp_path, changes, words):
    found = only(samples.streak_tiff(tmp_path / "scan.tif", **changes))
    number = 0 if "cut" in changes else 1
    assert (axis(found, number)[2:4], found.warnings) == ((1.0, ""), words)


@pytest.mark.parametrize(
    ("words", "hour"),
    [("6/27/2022 4:26:24 PM", 16), ("27/06/2022 04:26:24 a. m.", 4), ("27.06.2022 16:26:24", 16)],
)
def test_a_clock_of_labspec_has_its_half_of_the_day(tmp_path, words, hour):
    path = samples.labspec(tmp_path / "a.xml", [1.0, 2.0, 3.0, 4.0], "nm", {})
    path.write_text(path.read_text("utf-8").replace("27.06.2022 16:26:24", words), "utf-8")
    assert only(path).creation_time.isoformat() == f"2022-06-27T{hour:02}:26:24+00:00"


def with_commas(path, *numbers):
    text = path.read_text("utf-8")
    for number in numbers:
        assert number in text
        text = text.replace(number, number.replace(".", ","))
    path.write_text(text, "utf-8")
    return path


def test_decimal_commas_of_labspec(tmp_path):
    channels = [535.5, 535.0, 534.5, 534.0]
    path = samples.labspec(tmp_path / "a.xml", channels, "nm", {"Y": [0.25, 1.5, 2.75]})
    path.write_text(path.read_text("utf-8").replace(">3<", ">3.5<"), "utf-8")
    found = only(with_commas(path, *map(str, channels), "0.25", "1.5", "2.75", "3.5"))
    assert (axis(found), found.axes[0].offset) == (("Y", 3, 1.25, "um", True), 0.25)
    assert (axis(found, 1)[2:4], found.axes[1].offset) == ((0.5, "nm"), 534.0)
    assert found.metadata["exposure_time"] == {"value": 3.5, "unit": "s"}


def test_decimal_commas_of_trivista(tmp_path):
    path = samples.trivista(tmp_path / "a.tvf", 3, {"X": ("-5.5", "2.5", "3")})
    path.write_text(path.read_text("utf-8").replace("1;2;3;4", "1;2;3;4.5"), "utf-8")
    found = read(with_commas(path, "934.5", "935.5", "934.0", "935.0", "-5.5", "2.5", "4.5"))
    (dataset,) = found.datasets
    assert (axis(dataset), dataset.axes[0].offset) == (("X", 3, 2.5, "um", True), -5.5)
    assert (axis(dataset, 1)[2:4], dataset.axes[1].offset) == ((0.5, "nm"), 934.0)
    assert float(found.pixels()[0, -1]) == 4.5


def test_commas_beside_points_are_no_decimals(tmp_path):
    path = samples.labspec(tmp_path / "a.xml", [535.5, 535.0, 534.5, 534.0], "nm", {})
    path.write_text(path.read_text("utf-8").replace("diamond", "1,024"), "utf-8")
    assert "1,024" in str(read(path).native)
