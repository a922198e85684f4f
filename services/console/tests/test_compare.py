"""Comparing records by what they mean."""

from typing import Any

import pytest

from nexuslims_console.legacy.compare import compare
from nexuslims_contracts.record.model import Activity, Dataset, Experiment, Parameter


def record(*parameters: Parameter, location: str = "Titan/a.dm3", **about: Any) -> Experiment:
    dataset = Dataset("a", location, type="Image", parameters=parameters)
    return Experiment(activities=(Activity(datasets=(dataset,)),), **about)


def kinds(theirs: Experiment, ours: Experiment) -> dict[str, str]:
    return {one.name: one.kind for one in compare(theirs, ours).differences}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (Parameter("Voltage", "300000.0", "V"), Parameter("Voltage", "300", "kV")),
        (Parameter("C1 Aperture (μm)", "50"), Parameter("C1 Aperture", "50", "um")),
        (Parameter("Spot", "3"), Parameter("spot", "3.0")),
        (Parameter("Mode", "TEM"), Parameter("Mode", " tem")),
        (Parameter("Length", "0.123456789", "m"), Parameter("Length", "123.45679", "mm")),
        (
            Parameter("Creation Time", "2018-11-13T10:00:00-05:00"),
            Parameter("Creation Time", "2018-11-13T15:00:00+00:00"),
        ),
    ],
    ids=lambda one: one.value,
)
def test_units_and_spellings_are_no_difference(theirs: Parameter, ours: Parameter) -> None:
    found = compare(record(theirs), record(ours))
    assert found.differences == ()
    assert found.datasets == 1


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (Parameter("Voltage", "300", "kV"), Parameter("Voltage", "200", "kV")),
        (Parameter("Voltage", "300", "kV"), Parameter("Voltage", "300", "nm")),
        (Parameter("Voltage", "300", "kV"), Parameter("Voltage", "300")),
        (
            Parameter("Creation Time", "2018-11-13T10:00:00"),
            Parameter("Creation Time", "2018-11-13T10:00:00+00:00"),
        ),
    ],
)
def test_another_value_is_a_change(theirs: Parameter, ours: Parameter) -> None:
    assert kinds(record(theirs), record(ours)) == {theirs.name: "changed"}


def test_what_only_one_of_them_has() -> None:
    theirs, ours = record(Parameter("Operator", "x")), record(Parameter("Pixels", "y"))
    assert kinds(theirs, ours) == {"Operator": "missing", "Pixels": "extra"}


def test_a_value_under_another_name_is_renamed() -> None:
    theirs = record(Parameter("Voltage", "300000", "V"))
    ours = record(Parameter("Acceleration Voltage", "300.0", "kV"))
    assert kinds(theirs, ours) == {"Voltage → Acceleration Voltage": "renamed"}


def test_a_dataset_that_only_one_of_them_has() -> None:
    found = compare(record(location="a.tif"), record(location="b.tif"))
    assert [(one.where, one.kind) for one in found.differences] == [
        ("a.tif", "missing"),
        ("b.tif", "extra"),
    ]


def test_the_record_as_a_whole_is_compared_too() -> None:
    theirs = record(title="Gold", experimenters=("Ada",), motivation="Why")
    ours = record(title="Silver", experimenters=("Ada",))
    assert kinds(theirs, ours) == {"title": "changed", "motivation": "missing"}


def test_a_value_of_the_setup_counts_for_each_dataset() -> None:
    voltage = Parameter("Voltage", "300", "kV")
    dataset = Dataset("a", "Titan/a.dm3", type="Image")
    ours = Experiment(activities=(Activity(setup=(voltage,), datasets=(dataset,)),))
    assert compare(record(voltage), ours).differences == ()
