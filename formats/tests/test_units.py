"""Every unit that the contracts know is read by every reader; any other is reported."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from nexuslims_contracts.metadata import FIELDS
from nexuslims_contracts.units import dimension_of, to_preferred
from nexuslims_contracts.units.table import SPELLINGS
from nexuslims_formats.datasets import to_dataset
from nexuslims_formats.model import Signal
from nexuslims_formats.quantities import mapped, spelled_unit
from nexuslims_formats.registry import HEAD_BYTES, choose

QUANTITIES = [field for field in FIELDS.values() if field.kind == "quantity"]


@pytest.fixture(scope="module", autouse=True)
def _whatever_is_plausible():
    """Units are what is tested here: a stage may be at 99 m."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nexuslims_formats.datasets.implausible", lambda *_args, **_options: ())
        yield


def published(signal):
    dataset, _ = to_dataset(signal, 0, instrument=None, mtime=0, file="made")
    return dataset


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("50.00 K X", (50, "kx")), ("50 K", (50, "kx")), ("x50k", (50, "kx")),
        ("1.00 M X", (1e6, "x")), ("1,5Mx", (1.5e6, "x")), ("\u00d750000", (50000, "x")),
        ("12'500X", (12500, "x")), ("500", (500, "x")), ("50,000x", "50,000 x"),
    ],
)  # fmt: skip
def test_a_magnification_is_read_as_people_write_it(text, times):
    assert dict(mapped({"MAG": text}.get, [("magnification", "MAG", "x")])) == {
        "magnification": times
    }


@pytest.mark.parametrize(
    ("text", "unit"),
    [("Âµm", "um"), ("Î¼m", "um"), ("Â°", "degree"), ("[kV]", "kV"), ("?m", "?m")],
)
def test_a_unit_is_known_though_its_letters_were_spoiled(text, unit):
    assert spelled_unit(text) == unit


@given(st.sampled_from(QUANTITIES), st.sampled_from(sorted(SPELLINGS)), st.integers(1, 999))
def test_a_unit_is_taken_as_it_is_stated_or_the_value_is_refused(field, unit, number):
    metadata = dict(mapped({"told": f"{number} {unit}"}.get, [(field.name, "told", field.unit)]))
    dataset = published(
        Signal(name="a", dataset_type=field.dataset_types[0], data_type="Made", metadata=metadata)
    )
    if dimension_of(SPELLINGS[unit]) == field.dimension:
        expected = to_preferred(number, unit, field.unit).json()
        assert dataset.metadata[field.name] == expected
        assert dataset.warnings == ()
    else:
        assert field.name not in dataset.metadata
        (warning,) = dataset.warnings
        assert field.name in warning
        assert str(number) in warning


def write_msa(path, unit, number):
    lines = [
        "#FORMAT      : EMSA/MAS Spectral Data File", "#VERSION     : 1.0", "#TITLE       : made",
        "#NPOINTS     : 2", "#NCOLUMNS    : 1", "#XUNITS      : eV", "#DATATYPE    : Y",
        "#XPERCHAN    : 10.0", "#OFFSET      : 0.0", f"#XPOSITION -{unit}: {number}",
        "#SPECTRUM    : here", "1.0,", "2.0,", "#ENDOFDATA   : ",
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n", "utf-8")


def write_tiff(path, **options):
    tifffile.imwrite(
        path, np.zeros((4, 6), "uint8"), photometric="minisblack", metadata=None, **options
    )


def write_zeiss(path, unit, number):
    text = f"AP_STAGE_AT_X\r\nStage at X = {number} {unit}\r\n"
    write_tiff(path, extratags=[(34118, "B", 0, text.encode("cp1252", "replace"), True)])


def write_hitachi(path, unit, number):
    write_tiff(path)
    text = f"[SemImageFile]\r\nStagePositionX={number} {unit}\r\n"
    path.with_suffix(".txt").write_text(text, "utf-8")


def write_jeol(path, unit, number):
    write_tiff(path)
    text = f"$CM_FORMAT JEOL\r\n$CM_STAGE_POSITION X={number}{unit},Y=0\r\n"
    path.with_suffix(".txt").write_text(text, "utf-8")


def write_orion(path, unit, number):
    text = (
        f"<ImageTags><StageX><Value>{number}</Value><Units>{unit}</Units></StageX></ImageTags>"
    ).encode()
    write_tiff(path, extratags=[(65000, "B", 0, text, True)])


def write_fei_tem(path, unit, number):
    label = f"<Label>Stage X</Label><Value>{number}</Value><Unit>{unit}</Unit>"
    text = f"<Root><Data>{label}</Data></Root>".encode()
    write_tiff(path, extratags=[(34682, "B", 0, text, True)])


READERS = {
    "msa": (write_msa, "a.msa"),
    "zeiss": (write_zeiss, "zeiss.tif"),
    "hitachi": (write_hitachi, "hitachi.tif"),
    "jeol": (write_jeol, "jeol.tif"),
    "orion": (write_orion, "orion.tif"),
    "fei": (write_fei_tem, "fei.tif"),
}
LENGTHS = ["nm", "um", "µm", "Microns", "mm", "cm", "m", "pm", "Angstrom"]


def read(write, path, unit, number):
    write(path, unit, number)
    extractor = choose(path, path.read_bytes()[:HEAD_BYTES])
    (signal,) = extractor.open(path).signals
    return published(signal)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=15)
@given(unit=st.sampled_from(LENGTHS), number=st.integers(1, 99))
def test_readers_take_the_unit_of_the_file(tmp_path_factory, name, unit, number):
    write, file = READERS[name]
    dataset = read(write, tmp_path_factory.mktemp("made") / file, unit, number)
    assert dataset.metadata["stage_x"] == to_preferred(number, unit, "um").json()
    assert dataset.warnings == ()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("unit", ["furlong/2", "kV", "blobs"])
def test_readers_report_a_unit_that_is_none_of_lengths(tmp_path, name, unit):
    write, file = READERS[name]
    dataset = read(write, tmp_path / file, unit, 17)
    assert "stage_x" not in dataset.metadata
    (warning,) = dataset.warnings
    assert "stage_x" in warning
    assert "17" in warning
    assert unit in warning
