"""Real microscope files, against what independent readers say is in them."""

import json
import math
from pathlib import Path

import pytest

from nexuslims_extractor.core import extract_file
from nexuslims_formats.model import InstrumentContext

pytestmark = pytest.mark.corpus

TITAN = InstrumentContext("FEI-Titan-TEM", "America/New_York")
TRUTH = json.loads(Path(__file__).with_name("truth.json").read_text(encoding="utf-8"))
"""What rosettasciio, tifffile and ncempy say is in these files."""


@pytest.mark.parametrize("entry", TRUTH)
def test_shapes_types_and_axes(corpus, entry):
    done = extract_file(corpus.file(entry), instrument=TITAN)
    # the strips of one were damaged when it was sanitised
    assert done.outcome == ("partial" if "no_beam" in entry else "extracted"), done.reason
    assert len(done.datasets) == len(TRUTH[entry])
    for found, expected in zip(done.datasets, TRUTH[entry], strict=True):
        if expected["dtype"].startswith("Rx"):
            assert found.shape[:-1] == tuple(expected["shape"])
        else:
            assert found.shape == tuple(expected["shape"])
            assert found.dtype == expected["dtype"]
        if "dataset_type" in expected:
            assert found.dataset_type == expected["dataset_type"]
        scales = {"eV": 1.0, "keV": 1e3, "nm": 1.0, "um": 1e3, "µm": 1e3}
        for axis, other in zip(found.axes, expected["axes"], strict=False):
            assert axis.size == other["size"]
            if axis.unit in scales and other.get("units") in scales:
                assert abs(axis.scale) * scales[axis.unit] == pytest.approx(
                    abs(other["scale"]) * scales[other["units"]], rel=1e-3
                )


SI = {"m": 1, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "V": 1, "kV": 1e3, "s": 1, "ms": 1e-3,
      "us": 1e-6, "A": 1, "nA": 1e-9, "uA": 1e-6, "pA": 1e-12, "degree": math.pi / 180, "rad": 1,
      "mrad": 1e-3, "eV": 1, "keV": 1e3, "Pa": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "index", "facts"),
    [
        (
            "dm3__test_titan_parse_metadata.dm3",
            0,
            {"acceleration_voltage": 300e3, "magnification": 13000, "exposure_time": 1.0},
        ),
        (
            "dm4__neoarm-gatan_SI_dataZeroed.dm4",
            3,
            {"stage_x": -260.323e-6, "stage_z": 39.8695e-6, "dwell_time": 0.01},
        ),
        (
            "dm3__EELS_STO.dm3",
            0,
            {"convergence_angle": 30e-3, "collection_angle": 33e-3, "energy_loss": 400.0},
        ),
        (
            "tif-fei__quanta_image.tif",
            0,
            {
                "working_distance": 0.011051,
                "stage_rotation": 0.0010584,
                "horizontal_field_width": 0.000452548,
                "dwell_time": 3e-5,
            },
        ),
        (
            "tif-fei__titan_tem_bf_image_dataZeroed.tif",
            0,
            {"acceleration_voltage": 200e3, "stage_x": 307.693e-6, "defocus": -11.402e-6},
        ),
        (
            "tif-tescan__tescan-pfib_dataZeroed.tif",
            0,
            {"stage_rotation": math.radians(30), "beam_current": 3.003e-10},
        ),
        (
            "emi-ser__scan_001.emi",
            0,
            {"acceleration_voltage": 300e3, "emission_current": 135e-6},
        ),
    ],
)
def test_facts_in_their_right_units(corpus, entry, index, facts):
    metadata = extract_file(corpus.file(entry), instrument=TITAN).datasets[index].metadata
    for field, expected in facts.items():
        value = metadata[field]
        if isinstance(value, dict) and value["unit"] in SI:
            value = value["value"] * SI[value["unit"]]
        elif isinstance(value, dict):
            value = value["value"]
        assert value == pytest.approx(expected, rel=1e-3), field


@pytest.mark.parametrize(
    ("entry", "index", "expected"),
    [
        ("dm3__test_titan_parse_metadata.dm3", 0, "2018-11-13T12:49:32-05:00"),
        ("dm3__Fei_HAADF-MX_location.dm3", 0, "2016-08-27T15:55:59-04:00"),
        ("tif-fei__quanta_image.tif", 0, "2017-12-18T13:04:14-05:00"),
        ("tif-orion__orion-fibics_dataZeroed.tif", 0, "2025-05-27T10:32:12-04:00"),
        ("emi-ser__Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi", 0, "2019-06-13T19:52:06-04:00"),
        ("emi-ser__Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi", 1, "2019-06-13T19:52:24-04:00"),
    ],
)
def test_times_with_the_right_offset(corpus, entry, index, expected):
    dataset = extract_file(corpus.file(entry), instrument=TITAN).datasets[index]
    assert dataset.creation_time.isoformat() == expected


@pytest.mark.parametrize(
    ("entry", "outcome", "words"),
    [
        ("dm3__test_corrupted.dm3", "failed", "ends within its tags"),
        ("tif-fei__quanta_just_modded_mdata.tif", "partial", "no TIFF image"),
        ("emi-ser__Titan_TEM_13_unreadable_ser.emi", "partial", "not a TIA series"),
        ("emi-ser__Titan_TEM_14_unreadable_emi.emi", "partial", "no description"),
    ],
)
def test_damaged_files_are_reported_as_such(corpus, entry, outcome, words):
    done = extract_file(corpus.file(entry))
    assert done.outcome == outcome
    assert words in done.reason


def test_a_series_alone_finds_its_description(corpus):
    emi = corpus.file("emi-ser__Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi")
    whole = extract_file(emi)
    for number, dataset in enumerate(whole.datasets, start=1):
        (alone,) = extract_file(emi.with_name(f"{emi.stem}_{number}.ser")).datasets
        assert alone.model_copy(update={"index": dataset.index}) == dataset


@pytest.mark.parametrize("entry", TRUTH)
def test_every_file_has_a_preview(corpus, tmp_path, entry):
    done = extract_file(corpus.file(entry), artifacts_root=tmp_path, previews=True)
    if "no_beam" in entry:  # its strips were damaged when it was sanitised
        assert done.outcome == "partial"
        return
    assert len(done.previews) == len(done.datasets), done.reason
    assert all((tmp_path / ref.path).stat().st_size == ref.size for ref in done.previews)
