import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.datasets import Axis
from nexuslims_contracts.metadata import FIELDS
from nexuslims_formats.datasets import to_dataset
from nexuslims_formats.model import Signal
from nexuslims_formats.plausibility import RANGES


def published(metadata=None, *, kind="Image", data_type="SEM_Imaging", axes=(), shape=()):
    signal = Signal(
        name="a", dataset_type=kind, data_type=data_type, metadata=metadata or {}, axes=axes,
        shape=shape, dtype="uint8" if shape else "",
    )  # fmt: skip
    return to_dataset(signal, 0, instrument=None, mtime=0, file="a")


def test_ranges_are_of_fields_with_numbers():
    for rule in RANGES:
        assert FIELDS[rule.field].kind in ("quantity", "number")
        assert rule.low < rule.high
    ruled = {rule.field for rule in RANGES}
    assert {field.name for field in FIELDS.values() if field.kind == "quantity"} <= ruled


@pytest.mark.parametrize("rule", RANGES, ids=lambda rule: f"{rule.field}-{rule.high:g}")
@given(share=st.floats(0, 1), sign=st.sampled_from([-1, 1]))
def test_values_within_are_published_and_those_beyond_are_named(rule, share, sign):
    field = FIELDS[rule.field]
    kind = next(iter(rule.types), field.dataset_types[0])
    data_type = f"{rule.kinds[0]}Imaging" if rule.kinds else "Optical_Imaging"

    def publish(number):
        value = (number, field.unit) if field.unit else number
        return published({rule.field: value}, kind=kind, data_type=data_type)[0]

    inside = rule.low + (rule.high - rule.low) * (0.1 + 0.8 * share)
    if all(one.holds(inside) for one in RANGES if one.field == rule.field
           and one.concerns(kind, data_type)):  # fmt: skip
        assert rule.field in publish(inside).metadata
    outside = rule.high * (1.1 + share) if sign > 0 else rule.low - 1.5 - abs(rule.low) * share
    refused = publish(outside)
    assert rule.field not in refused.metadata
    assert rule.field in refused.extensions
    assert any(words.startswith(f"{rule.field} of ") for words in refused.warnings)


@pytest.mark.parametrize("placeholder", [-1.0, 0.0, 1e36, -9999.0])
@pytest.mark.parametrize("field", ["magnification", "working_distance", "probe_current"])
def test_placeholders_are_no_values(field, placeholder):
    dataset, problems = published({field: (placeholder, FIELDS[field].unit)})
    assert field not in dataset.metadata
    assert field in dataset.warnings[0]
    assert problems == ()


@pytest.mark.parametrize(
    ("data_type", "millimetres", "kept"),
    [("TEM_Imaging", 148, False), ("SEM_Imaging", 148, True), ("STEM_Imaging", 1.2, True)],
)
def test_a_stage_in_a_transmission_microscope_moves_a_millimetre(data_type, millimetres, kept):
    dataset, _ = published({"stage_y": (millimetres, "mm")}, data_type=data_type)
    assert ("stage_y" in dataset.metadata) == kept


def test_a_scan_of_minutes_per_pixel_is_no_image():
    assert "dwell_time" not in published({"dwell_time": (200, "s")})[0].metadata
    spectra = {"kind": "SpectrumImage", "data_type": "STEM_EELS"}
    assert "dwell_time" in published({"dwell_time": (200, "s")}, **spectra)[0].metadata


@pytest.mark.parametrize(
    ("scale", "unit", "partial"),
    [(1.7e11, "mm", False), (20, "m", False), (0.0, "nm", False), (math.inf, "nm", True)],
)
def test_pixels_of_impossible_sizes_are_not_calibrated(scale, unit, partial):
    axes = (
        Axis(name="y", size=4, scale=scale, unit=unit),
        Axis(name="x", size=6, scale=2, unit="nm"),
    )
    dataset, problems = published(axes=axes, shape=(4, 6))
    assert (dataset.axes[0].scale, dataset.axes[0].unit) == (1, "")
    assert (dataset.axes[1].scale, dataset.axes[1].unit) == (2, "nm")
    assert "axis 'y'" in dataset.warnings[0]
    assert bool(problems) == partial


@pytest.mark.parametrize(
    ("size", "kept"), [(39.0, True), (50.0, True), (0.039, False), (39e3, False)]
)
def test_a_pixel_that_is_told_twice_is_told_alike(size, kept):
    """A unit that is lost in one of two places is a factor of a thousand."""
    axes = tuple(Axis(name=name, size=8, scale=39.0625, unit="nm") for name in "yx")
    dataset, _ = published({"pixel_width": (size, "nm")}, axes=axes, shape=(8, 8))
    assert ("pixel_width" in dataset.metadata) == kept
    assert any("contradicts" in words for words in dataset.warnings) != kept


@pytest.mark.parametrize(("scale", "offset"), [(1e36, 0.0), (1e-30, 0.0), (0.01, 1e36)])
def test_placeholders_are_no_scales_of_any_axis(scale, offset):
    axis = Axis(name="energy", size=8, scale=scale, offset=offset, unit="keV")
    dataset, _ = published(kind="Spectrum", axes=(axis,), shape=(8,))
    assert (dataset.axes[0].scale, dataset.axes[0].unit) == (1.0, "")
    assert "not plausible" in dataset.warnings[0]


def test_a_tem_of_200_volts_is_one_of_200_kilovolts():
    dataset, _ = published({"acceleration_voltage": (200.0, "V")}, data_type="TEM_Imaging")
    assert "acceleration_voltage" not in dataset.metadata
