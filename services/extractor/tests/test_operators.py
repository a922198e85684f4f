"""Ids stand for people in what is kept of a file, and nothing else is changed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_contracts.datasets import Dataset
from nexuslims_contracts.identifiers import person_id
from nexuslims_extractor.operators import with_ids
from nexuslims_formats.json_tree import json_safe
from nexuslims_formats.reading import Reading

KEY = b"key"


def reading(native, **metadata):
    dataset = Dataset(
        index=0,
        name="a.tif",
        dataset_type="Image",
        data_type="SEM_Imaging",
        creation_time=datetime(2026, 1, 1, tzinfo=UTC),
        metadata=metadata,
        extensions={"vendor": native} if isinstance(native, dict) else {},
    )
    return Reading(path=Path("a.tif"), outcome="extracted", datasets=(dataset,), native=native)


@pytest.mark.parametrize(
    ("native", "names"),
    [
        ({"User": {"User": "X.Quagg", "UserText": "xq, room 7"}}, {"X.Quagg", "xq, room 7"}),
        ({"SV_USER_NAME": "Qu", "CM_OPERATOR": "xav", "FullUserName": "X Q"}, {"Qu", "xav", "X Q"}),
        ({"Comment": "ask xav@quagmire.example about it"}, {"xav@quagmire.example"}),
        ({"Path": "C:\\Users\\xquag\\Desktop\\a.tif"}, {"xquag"}),
        ({"User": "supervisor", "UserMode": "Expert", "Owner": "42", "Operators": 3}, set()),
    ],
)  # fmt: skip
def test_whom_a_vendor_names_is_found(native, names):
    changed, people = with_ids(reading(native), KEY)
    assert set(people.values()) == names
    kept = json.dumps([changed.native, changed.datasets[0].model_dump(mode="json")])
    assert not [name for name in names if name in kept]
    assert all(person in kept for person in people)
    assert people == {person_id(KEY, name): name for name in names}


def test_a_name_is_replaced_wherever_it_stands_as_a_word():
    native = {"Operator": "Quagg", "Notes": ["Quagg's sample", "Quaggan"], "size": 3}
    changed, people = with_ids(reading(native, operator="Quagg", specimen="by Quagg"), KEY)
    (one,) = people
    assert changed.native["Notes"] == [f"{one}'s sample", "Quaggan"]
    assert changed.datasets[0].metadata == {"operator": one, "specimen": f"by {one}"}


def test_a_file_that_names_nobody_stays_as_it_is():
    before = reading({"Beam": {"HV": 20000.0}, "User": ""})
    assert with_ids(before, KEY) == (before, {})


texts = st.text(st.characters(exclude_categories=["C"]), max_size=30)
trees = st.dictionaries(st.sampled_from(["Operator", "User", "Notes", "HV"]), texts, max_size=4)


@given(trees)
def test_with_the_names_every_text_comes_back(native):
    changed, people = with_ids(reading(native), KEY)
    text = json.dumps(changed.native)
    for person, name in people.items():
        text = text.replace(person, json.dumps(name)[1:-1])
    assert json.loads(text) == json_safe(native)
