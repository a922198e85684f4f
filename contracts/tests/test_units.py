import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.metadata import FIELDS
from nexuslims_contracts.units import (
    NotANumberError,
    Quantity,
    UnknownUnitError,
    WrongDimensionError,
    dimension_of,
    known_unit,
    normalise_unit,
    qudt_uri,
    registry,
    to_decimal,
    to_preferred,
    written_unit,
)
from nexuslims_contracts.units.registry import pint_unit
from nexuslims_contracts.units.table import DIMENSIONS, FOLDED, QUDT, SPELLINGS, UNITS

NOT_IN_PINT = {"kx"}  # a thousand times: Pint has no unit for a ratio, hence no prefix for it


@pytest.mark.parametrize(
    ("value", "unit", "preferred", "expected"),
    [
        (0.1, "nA", "pA", 100.0),
        (300000.0, "V", "kV", 300.0),
        (29.997, "kV", "kV", 29.997),
        (1e-05, "s", "us", 10.0),
        (4.9e-3, "m", "mm", 4.9),
        ("5.5e-3", "m", "mm", 5.5),
        (50, "K X", "x", 50000.0),
        (20, "°C", "K", 293.15),
        (0.5235987755982988, "rad", "degree", 30.0),
        (1, "torr", "Pa", 133.322368421053),
        (0.3, "eV/ch", "eV", 0.3),
        (-0.2, "keV", "eV", -200.0),
        (35, "%", "%", 35.0),
    ],
)
def test_conversion_is_decimal_faithful(value, unit, preferred, expected):
    assert to_preferred(value, unit, preferred).json() == {"value": expected, "unit": preferred}


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("µm", "um"), ("μm", "um"), ("um", "um"), ("Microns", "um"), ("Ang", "angstrom"),
        ("Å", "angstrom"), ("deg", "degree"), ("°", "degree"), ("eV/ch", "eV"), ("nm/px", "nm"),
        ("counts", "counts"), ("%", "%"), ("x", "x"), ("X", "x"), ("1/nm", "1/nm"),
        ("nm^-1", "1/nm"), ("1/(nm)", "1/nm"), ("mrad", "mrad"), ("mR", "mrad"), ("Volts", "V"),
        ("kVolts", "kV"), ("picoAmps", "pA"), ("Micro Seconds", "us"), (" s ", "s"),
        ("Torr", "torr"),
        ("l/min", "l/min"), ("V·s", "s*V"), ("s^-1", "1/s"), ("mW", "mW"),
    ],
)  # fmt: skip
def test_spellings_of_vendors_have_one_symbol(text, symbol):
    assert normalise_unit(text) == symbol
    assert normalise_unit(symbol) == symbol


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("MICRONS", "um"),
        ("KVolts", "kV"),
        ("Sec", "s"),
        ("\u212b", "angstrom"),
        ("nm\u22121", "1/nm"),
    ],
)
def test_names_are_taken_in_any_case(text, symbol):
    assert known_unit(text) == symbol == normalise_unit(text)


def test_symbols_keep_their_case():
    assert [known_unit(text) for text in ("mV", "MV", "mPa", "MPA")] == ["mV", "MV", "mPa", None]


def test_names_in_lower_case_are_of_one_unit_each():
    names = {name: symbol for name, symbol in SPELLINGS.items() if name.lower() in FOLDED}
    assert {FOLDED[name.lower()] for name in names} == set(names.values())
    assert all(FOLDED[name.lower()] == symbol for name, symbol in names.items())


@pytest.mark.parametrize("symbol", UNITS)
def test_what_people_write_is_read_back(symbol):
    assert known_unit(written_unit(symbol)) == symbol


@pytest.mark.parametrize(
    "text", ["", "e-/s", "None", "9**9**9", "a.u.", "(", "nm nm", "Auto", "3", "m" * 5000]
)
def test_what_is_no_unit_is_refused(text):
    with pytest.raises(UnknownUnitError):
        normalise_unit(text)


@pytest.mark.parametrize(
    ("unit", "preferred"),
    [("mm", "kV"), ("mrad", "x"), ("counts", "%"), ("eV", "kV"), ("psi", "mm"), ("1/nm", "nm")],
)
def test_dimensions_do_not_mix(unit, preferred):
    with pytest.raises(WrongDimensionError, match=preferred):
        to_preferred(1, unit, preferred)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "-inf", "1e999", "x", None, True, ""]
)
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(NotANumberError):
        to_decimal(value)


def test_numbers_of_numpy_count_as_written():
    assert to_decimal(np.float32(0.1)) == Decimal("0.1")
    assert to_decimal(np.float64(0.1)) == Decimal("0.1")
    assert to_decimal(np.int16(-3)) == -3


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6
    ),
    st.sampled_from(["V", "mV", "kV", "MV"]),
    st.sampled_from(["V", "mV", "kV", "MV"]),
)
def test_there_and_back_is_the_same(value, unit, other):
    assert to_preferred(value, unit, other).to(unit) == Quantity(value, unit)


@pytest.mark.parametrize("symbol", sorted(UNITS.keys() - NOT_IN_PINT))
def test_the_table_agrees_with_pint(symbol):
    unit = UNITS[symbol]
    assert registry.dimension_vector(symbol) == DIMENSIONS[unit.dimension]
    same_kind = next(base for base in UNITS.values() if base.dimension == unit.dimension)
    factor, offset = registry.conversion(symbol, same_kind.symbol)
    assert float(factor) == pytest.approx(float(unit.size / same_kind.size), rel=1e-15)
    assert float(offset) == pytest.approx(float((unit.offset - same_kind.offset) / same_kind.size))


def test_every_preferred_unit_has_its_uri_in_qudt():
    preferred = {field.unit for field in FIELDS.values() if field.unit}
    assert len(preferred) > 10
    for unit in preferred:
        uri = qudt_uri(unit)
        assert uri is not None, unit
        assert uri.startswith(QUDT), unit
    assert qudt_uri("kV") == "http://qudt.org/vocab/unit/KiloV"
    assert qudt_uri("l/min") is None


def test_spellings_lead_to_units():
    assert set(SPELLINGS.values()) == set(UNITS)


def test_units_outside_the_table_convert_by_pint():
    assert dimension_of("psi") == "pressure"
    assert float(to_preferred(1, "psi", "Pa").value) == pytest.approx(6894.757, rel=1e-6)


def test_a_quantity_can_be_calculated_with():
    field = Quantity(Decimal("0.1"), "um").pint() / Quantity(Decimal(100), "nm").pint()
    assert field.to("dimensionless").magnitude == 1
    assert Quantity(Decimal(3), "x").pint().magnitude == 3


def inch_with_cache_in(folder):
    """Folder of the cache in use, and an inch in mm, told by a fresh process."""
    code = (
        "from nexuslims_contracts.units.registry import registry;"
        "print(registry().cache_folder, registry()('1 inch').to('mm').magnitude)"
    )
    places = {"XDG_CACHE_HOME": str(folder), "HOME": str(folder)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=places, capture_output=True, text=True, check=True
    )
    cache, inch = run.stdout.split()
    return cache, float(inch)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert inch_with_cache_in(blocked) == ("None", 25.4)


def test_a_damaged_cache_is_done_without(tmp_path):
    assert inch_with_cache_in(tmp_path) == (str(tmp_path / "pint"), 25.4)
    kept = list(tmp_path.rglob("*.pickle"))
    assert kept
    for file in kept:
        file.write_bytes(file.read_bytes()[:100])
    assert inch_with_cache_in(tmp_path) == ("None", 25.4)


def test_importing_and_usual_conversions_leave_pint_alone():
    code = (
        "import sys, nexuslims_contracts.metadata, nexuslims_contracts.units as u;"
        "u.to_preferred(1, 'rad', 'degree'); u.to_preferred(1, 'µm', 'nm');"
        "print('pint' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_what_a_double_cannot_hold_in_the_other_unit_is_refused():
    with pytest.raises(NotANumberError, match="not finite in %"):
        to_preferred(1.7e307, "x", "%")


def test_a_factor_is_no_unit() -> None:
    with pytest.raises(UnknownUnitError, match="0A0"):
        pint_unit("0A0")
