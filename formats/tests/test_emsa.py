import pytest

from nexuslims_formats import read

HEAD = """#FORMAT      : EMSA/MAS Spectral Data File
#VERSION     : 1.0
#TITLE       : a spectrum
#TITLE       : of two lines
#DATE        : 21-OCT-2019
#TIME        : 14:05
#NPOINTS     : 4
#NCOLUMNS    : 1
#XUNITS      : Energy (eV)
#DATATYPE    : {kind}
#XPERCHAN    : {scale}
#OFFSET      : -2{point}5
#SIGNALTYPE  : EDS
#BEAMKV   -kV: 15{point}5
#PROBECUR -pA: 7
#SPECTRUM    : here
"""
END = "#ENDOFDATA   :\n"


def spectrum(tmp_path, text):
    path = tmp_path / "a.msa"
    path.write_text(text, "utf-8")
    return read(path)


@pytest.mark.parametrize(
    ("kind", "point", "rows"),
    [
        ("Y", ".", "1.5, 2.5, 3.5\n4.5\n"), ("Y", ".", "1.5,\n2.5,\n3.5,\n4.5,\n"),
        ("Y", ",", "1,5\n2,5\n3,5\n4,5\n"), ("Y", ",", "1,5 2,5\n3,5 4,5\n"),
        ("Y", ",", "1,5; 2,5;\n3,5; 4,5\n"),
        ("XY", ".", "-2.5, 1.5\n8.0, 2.5\n18.5, 3.5\n29.0, 4.5\n"),
        ("XY", ",", "-2,5 1,5\n8,0 2,5\n18,5 3,5\n29,0 4,5\n"),
    ],
)  # fmt: skip
def test_counts_with_decimal_points_or_commas(tmp_path, kind, point, rows):
    head = HEAD.format(kind=kind, scale=f"10{point}5", point=point)
    found = spectrum(tmp_path, head + rows + END)
    assert (found.outcome, found.extractor.name) == ("extracted", "emsa"), found.reason
    assert found.pixels().tolist() == [1.5, 2.5, 3.5, 4.5]
    (dataset,) = found.datasets
    assert (dataset.name, dataset.data_type) == ("a spectrum of two lines", "SEM_EDS")
    (axis,) = dataset.axes
    assert (axis.scale, axis.offset, axis.unit) == (10.5, -2.5, "eV")
    assert dataset.metadata["acceleration_voltage"] == {"value": 15.5, "unit": "kV"}
    assert dataset.metadata["probe_current"] == {"value": 7, "unit": "pA"}
    assert dataset.creation_time.isoformat() == "2019-10-21T14:05:00+00:00"


@pytest.mark.parametrize(
    ("xs", "scale", "offset", "reason"),
    [
        ((0, 10, 20, 30), 10.0, 0.0, "are 10 apart from 0, but XPERCHAN and OFFSET tell 10.5"),
        ((0, 10, 25, 30), 1.0, 0.0, "are not evenly spaced"),
    ],
)
def test_the_points_of_pairs_tell_the_axis(tmp_path, xs, scale, offset, reason):
    rows = "".join(f"{x}.0, 1.0\n" for x in xs)
    found = spectrum(tmp_path, HEAD.format(kind="XY", scale=10.5, point=".") + rows + END)
    (axis,) = found.datasets[0].axes
    assert (axis.scale, axis.offset, found.outcome) == (scale, offset, "partial")
    assert reason in found.reason


def test_the_standards_own_example_keeps_the_scale_that_it_states(tmp_path):
    head = HEAD.format(kind="XY", scale=3.1, point=".").replace("#NPOINTS     : 4", "#NPOINTS : 21")
    xs = [-2.5 + 3.095 * step - 0.78 * (step > 15) - 0.78 * (step > 17) for step in range(21)]
    rows = "".join(f"{x:.2f}, 1.0\n" for x in xs)
    found = spectrum(tmp_path, head + rows + END)
    (axis,) = found.datasets[0].axes
    assert (axis.scale, axis.offset, found.outcome) == (3.1, -2.5, "extracted"), found.reason


@pytest.mark.parametrize(
    ("old", "new", "scale", "offset"),
    [
        ("#XPERCHAN    :", "#XPERCHAN -keV:", 10500.0, -2.5),
        ("#OFFSET      : -2.5", "#OFFSET : -0.2 keV", 10.5, -200.0),
    ],
)
def test_a_scale_may_have_a_unit_of_its_own(tmp_path, old, new, scale, offset):
    head = HEAD.format(kind="Y", scale=10.5, point=".").replace(old, new)
    (axis,) = spectrum(tmp_path, f"{head}1.0, 2.0, 3.0, 4.0\n{END}").datasets[0].axes
    assert (axis.scale, axis.offset, axis.unit) == (scale, offset, "eV")


def test_points_that_are_missing_are_reported(tmp_path):
    head = HEAD.format(kind="Y", scale=10.5, point=".")
    found = spectrum(tmp_path, f"{head}1.0, 2.0, 3.0\n{END}")
    assert (found.outcome, found.datasets[0].shape) == ("partial", (3,))
    assert "it has 3 points, but NPOINTS tells 4" in found.reason


def test_points_beyond_those_that_are_stated_are_read_and_reported(tmp_path):
    head = HEAD.format(kind="Y", scale=10.5, point=".")
    found = spectrum(tmp_path, f"{head}1.0, 2.0, 3.0, 4.0, 5.0\n{END}")
    assert (found.outcome, found.datasets[0].shape) == ("extracted", (5,))
    assert "it has 5 points, but NPOINTS tells 4" in found.datasets[0].warnings


def test_a_spectrum_without_its_end_is_partial(tmp_path):
    text = HEAD.format(kind="Y", scale="10.0", point=".") + "1.0,\n2.0,\n"
    found = spectrum(tmp_path, text)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (2,))
    assert "ends within its spectrum" in found.reason


@pytest.mark.parametrize("rows", ["", "counts\n"])
def test_what_is_no_spectrum_is_damaged(tmp_path, rows):
    text = HEAD.format(kind="Y", scale="10.0", point=".") + rows + END
    assert spectrum(tmp_path, text).outcome == "failed"


def test_a_spectrum_with_all_its_points_needs_no_end_mark(tmp_path):
    text = (
        "#FORMAT: EMSA/MAS Spectral Data File\n#NPOINTS: 3\n#XUNITS: eV\n#DATATYPE: Y\n"
        "#XPERCHAN: 5\n#SPECTRUM:\n1\n2\n"
    )
    path = tmp_path / "a.msa"
    path.write_text(text)
    assert read(path).outcome == "partial"
    path.write_text(f"{text}3\n")
    assert read(path).outcome == "extracted"
