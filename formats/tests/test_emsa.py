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
        ("XY", ".", "0.0, 1.5\n10.0, 2.5\n20.0, 3.5\n30.0, 4.5\n"),
        ("XY", ",", "0,0 1,5\n10,0 2,5\n20,0 3,5\n30,0 4,5\n"),
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


def test_a_spectrum_without_its_end_is_partial(tmp_path):
    text = HEAD.format(kind="Y", scale="10.0", point=".") + "1.0,\n2.0,\n"
    found = spectrum(tmp_path, text)
    assert (found.outcome, found.datasets[0].shape) == ("partial", (2,))
    assert "ends within its spectrum" in found.reason


@pytest.mark.parametrize("rows", ["", "counts\n"])
def test_what_is_no_spectrum_is_damaged(tmp_path, rows):
    text = HEAD.format(kind="Y", scale="10.0", point=".") + rows + END
    assert spectrum(tmp_path, text).outcome == "failed"
