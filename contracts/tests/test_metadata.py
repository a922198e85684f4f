import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts import glossary
from nexuslims_contracts.errors import ContractError
from nexuslims_contracts.metadata import (
    FIELDS,
    MODELS,
    REQUIRED,
    MetadataError,
    display_name,
    fields_of,
    partition_metadata,
    snake_case,
    validate_metadata,
    with_qudt,
)
from nexuslims_contracts.units.table import UNITS

WHEN = datetime(2018, 11, 13, 11, 1, tzinfo=timezone(timedelta(hours=-7)))
IMAGE = {"dataset_type": "Image", "creation_time": WHEN, "data_type": "TEM_Imaging"}


def valid(raw, **changes):
    return validate_metadata(raw, **(IMAGE | changes))


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "raw", "normal"),
    [
        ("acceleration_voltage", (300000.0, "V"), {"value": 300.0, "unit": "kV"}),
        ("acceleration_voltage", {"value": "300", "unit": "kV"}, {"value": 300.0, "unit": "kV"}),
        ("beam_current", {"value": 0.1, "unit": "nA"}, {"value": 100.0, "unit": "pA"}),
        ("magnification", 50000, {"value": 50000.0, "unit": "x"}),
        ("magnification", {"value": 50, "unit": "KX"}, {"value": 50000.0, "unit": "x"}),
        ("magnification", (2.5, ""), {"value": 2.5, "unit": "x"}),
        ("stage_tilt", (0.0, "rad"), {"value": 0.0, "unit": "degree"}),
        ("dwell_time", (4e-07, "s"), {"value": 0.4, "unit": "us"}),
        ("spot_size", "3.0", 3),
        ("spot_size", 4.5, 4.5),
        ("operator", " Ned\x00 Land ", "Ned Land"),
        ("detector_type", 3, "3"),
        ("data_dimensions", (2048, 2048), "(2048, 2048)"),
        ("tilt_correction", "yes", True),
        ("dynamic_focus_correction", False, False),
    ],
)
def test_values_are_normalised(field, raw, normal):
    assert valid({field: raw}).metadata == {field: normal}


def test_what_is_not_given_is_absent():
    assert valid({"operator": " ", "specimen": None}).metadata == {}


def test_vendor_fields_keep_their_units_with_canonical_symbols():
    vendor = {
        "feiBeam": {"HV": (3, "kVolts"), "Spot (µm)": {"value": 1.5, "unit": "µm"}},
        "fei_flow": {"value": 2.0, "unit": "glorps"},
        "list": [1, 2.5, "a\x01", None, True],
        "fei beam": WHEN,
    }
    assert valid({}, extensions=vendor).extensions == {
        "fei_beam": {
            "hv": {"value": 3, "unit": "kV"},
            "spot_um": {"value": 1.5, "unit": "um"},
        },
        "fei_flow": {"value": 2.0, "unit": "glorps"},
        "list": [1, 2.5, "a", None, True],
        "fei_beam_2": "2018-11-13T11:01:00-07:00",
    }


# --- errors ------------------------------------------------------------------------------------


def test_every_problem_is_in_one_error_that_names_field_value_expectation_and_file():
    raw = {
        "acceleration_voltage": (3, "mm"),
        "beam_current": (math.nan, "A"),
        "stage_x": 5,
        "probe": 1,
        "live_time": (3, "s"),
        "tilt_correction": "perhaps",
        "working_distance": (1, "glorps"),
    }
    with pytest.raises(MetadataError) as caught:
        valid(raw, file="a.dm3", extensions={"n": {"m": [math.inf]}})
    assert isinstance(caught.value, ContractError)
    assert {problem.field for problem in caught.value.problems} == {*raw, "extensions"}
    message = str(caught.value)
    assert message.startswith("a.dm3: ")
    for part in (
        "acceleration_voltage must be a voltage in kV (mm measures length, ",
        "kV measures voltage), not (3, 'mm')",
        "beam_current must be a current in pA and finite, not (nan, 'A')",
        "stage_x must be a length in um, with a unit, not 5",
        "probe is no core field",
        "live_time is no field of Image",
        "tilt_correction must be yes or no, not 'perhaps'",
        "'glorps' is no known unit",
        "extensions must be finite, and n.m.0 is inf",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("change", "expectation"),
    [
        ({"creation_time": datetime(2020, 1, 1)}, "creation_time must be .* with an offset"),  # noqa: DTZ001 - the point
        ({"creation_time": None}, "creation_time must be .* with an offset"),
        ({"data_type": ""}, "data_type must be a text"),
        ({"dataset_type": "Movie"}, "dataset_type must be one of Image, .*, not 'Movie'"),
        ({"extensions": {"x": object()}}, "extensions must be JSON, and x is a object"),
        ({"warnings": (3,)}, "warnings is not accepted"),
    ],
)
def test_what_every_dataset_must_have(change, expectation):
    with pytest.raises(MetadataError, match=expectation):
        valid({}, **change)
    if change.keys() & set(REQUIRED):
        with pytest.raises(MetadataError, match=expectation):
            partition_metadata({}, **(IMAGE | change))


def test_one_bad_value_does_not_cost_the_file():
    raw = {
        "acceleration_voltage": (3, "mm"),
        "beam_current": (math.nan, "A"),
        "live_time": (3, "s"),
        "stage_x": (1, "mm"),
        "odd": object,
    }
    found, problems = partition_metadata(
        raw, **IMAGE, extensions={"acceleration_voltage": "own", "n": [math.inf, 1]}
    )
    assert found.metadata == {"stage_x": {"value": 1000.0, "unit": "um"}}
    assert found.extensions == {
        "acceleration_voltage": "own",
        "acceleration_voltage_refused": {"value": 3, "unit": "mm"},
        "beam_current": {"value": "nan", "unit": "A"},
        "live_time": {"value": 3, "unit": "s"},
        "n": ["inf", 1],
        "odd": str(object),
    }
    assert [problem.split()[0] for problem in problems] == [
        "extensions", "acceleration_voltage", "beam_current", "odd",
    ]  # fmt: skip


def test_a_field_of_another_type_is_an_extension_and_no_problem():
    found, problems = partition_metadata({"live_time": (3, "s")}, **IMAGE)
    assert (found.metadata, problems) == ({}, ())
    assert found.extensions == {"live_time": {"value": 3, "unit": "s"}}


# --- properties --------------------------------------------------------------------------------

_numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
_words = st.text(st.characters(categories=("L", "M", "N", "P", "S")), min_size=1)
_text = st.lists(_words, min_size=1, max_size=3).map(" ".join)
"""What is printable, with no blanks at its ends: made so, as a filter leaves too little."""


def _values(field):
    if field.kind == "quantity":
        alike = [u.symbol for u in UNITS.values() if u.dimension == field.dimension]
        return st.tuples(_numbers, st.sampled_from(alike))
    return {"text": _text, "flag": st.booleans(), "number": _numbers}[field.kind]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _numbers | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def datasets(draw):
    dataset_type = draw(st.sampled_from(sorted(MODELS)))
    optional = {f.name: _values(f) for f in fields_of(dataset_type) if f.name not in REQUIRED}
    return draw(st.fixed_dictionaries({}, optional=optional)), {
        "dataset_type": dataset_type,
        "data_type": "TEM_Imaging",
        "creation_time": draw(st.datetimes(timezones=st.just(UTC))),
        "extensions": draw(st.dictionaries(_text, _json, max_size=3)),
    }


@settings(max_examples=40)
@given(datasets())
def test_every_model_reads_back_what_it_wrote(dataset):
    raw, rest = dataset
    first = validate_metadata(raw, **rest)
    assert first.metadata.keys() == raw.keys()
    assert validate_metadata(first.metadata, **(rest | {"extensions": first.extensions})) == first
    stored = json.loads(json.dumps(first.document(), allow_nan=False))
    model = MODELS[rest["dataset_type"]].model_validate(stored)
    written = json.loads(model.model_dump_json(exclude_unset=True))
    assert with_qudt({name: written[name] for name in first.metadata}) == {
        name: stored[name] for name in first.metadata
    }


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | _text, st.none() | _json | st.floats()))
def test_whatever_comes_nothing_is_lost_and_nothing_raised(raw):
    raw = {name: value for name, value in raw.items() if name not in REQUIRED}
    found, _ = partition_metadata(raw, **IMAGE)
    json.dumps(found.document(), allow_nan=False)
    given_values = [
        v for v in raw.values() if v is not None and not (isinstance(v, str) and not v.strip())
    ]
    assert len(found.metadata) + len(found.extensions) >= len(given_values)


def test_a_vendors_field_may_be_called_as_ours_beside_the_metadata():
    found, problems = partition_metadata({"warnings": 3, "extensions": "two"}, **IMAGE)
    assert found.extensions == {"warnings": 3, "extensions": "two"}
    assert (found.warnings, problems) == ((), ())


# --- the table ---------------------------------------------------------------------------------


def test_units_stand_for_the_kind_of_quantity_a_name_says():
    kinds = {
        "_voltage": "voltage", "_current": "current", "_time": "time", "_angle": "angle",
        "_energy": "energy", "_aperture": "length", "pressure": "pressure",
    }  # fmt: skip
    for field in FIELDS.values():
        for ending, kind in kinds.items():
            if field.name.endswith(ending) and field.kind == "quantity":
                assert field.dimension == kind, field.name


def test_every_field_says_what_it_is():
    assert len({field.display_name for field in FIELDS.values()}) == len(FIELDS)
    assert len({field.description for field in FIELDS.values()}) == len(FIELDS)
    for field in FIELDS.values():
        assert snake_case(field.name) == field.name
        assert (field.kind == "quantity") == (field.unit is not None)
        assert field.dataset_types


def test_the_glossarys_terms():
    assert len(glossary.QUANTITIES) == 23
    voltage = FIELDS["acceleration_voltage"]
    assert voltage.emg_id == "EMG_00000004"
    assert voltage.purl == "https://purls.helmholtz-metadaten.de/emg/v2.0.0/EMG_00000004"
    assert voltage.qudt == "http://qudt.org/vocab/unit/KiloV"
    assert FIELDS["tilt_correction"].emg_id == "EMG_00000047"
    assert FIELDS["magnification"].emg_id is None


def test_a_spectrum_image_has_the_fields_of_an_image_and_of_a_spectrum():
    names = {kind: {field.name for field in fields_of(kind)} for kind in MODELS}
    assert names["SpectrumImage"] == names["Image"] | names["Spectrum"]
    assert names["Misc"] == names["Unknown"] < names["Image"] & names["Spectrum"]
    assert names["Misc"] < names["Diffraction"]


@pytest.mark.parametrize("dataset_type", sorted(MODELS))
def test_the_json_schema_tells_unit_term_and_meaning(dataset_type):
    schema = MODELS[dataset_type].model_json_schema()
    assert sorted(schema["required"]) == sorted(REQUIRED)
    assert schema["additionalProperties"] is False
    voltage = schema["properties"]["acceleration_voltage"]
    assert voltage["properties"]["unit"] == {"const": "kV"}
    assert voltage["title"] == "Acceleration Voltage"
    assert voltage["x-emg"] == "EMG_00000004"
    assert "default" not in voltage


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("dwell_time", "Pixel Dwell Time"),
        ("dataset_type", "DatasetType"),
        ("stage_x", "Stage X"),
        ("fei_beam_spot_size", "FEI Beam Spot Size"),
        ("dm_eels_mode", "DM EELS Mode"),
        ("fei_scan.dwell_us", "FEI Scan \u2013 Dwell us"),
    ],
)
def test_display_names(field, expected):
    assert display_name(field) == expected


def test_qudt_units_are_given_wherever_a_quantity_is():
    document = {"a": {"value": 1, "unit": "kV"}, "b": [{"c": {"value": 1, "unit": "?"}}], "d": 1}
    assert with_qudt(document) == {
        "a": {"value": 1, "unit": "kV", "qudt:unit": "http://qudt.org/vocab/unit/KiloV"},
        "b": [{"c": {"value": 1, "unit": "?"}}],
        "d": 1,
    }
