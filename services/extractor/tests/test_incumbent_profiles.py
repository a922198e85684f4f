"""Profiles written for NexusLIMS 2.x by its documentation run as they are."""

import sys

import pytest

from nexuslims_extractor.checks import check_profiles
from nexuslims_extractor.core import extract_file
from nexuslims_extractor.profiles import load_profiles, with_profile
from nexuslims_formats.model import InstrumentContext, ParsedFile, Signal
from nexuslims_shared.settings import Settings

HEAD = """
from __future__ import annotations
import logging
from typing import TYPE_CHECKING, Any
from nexusLIMS.extractors.base import InstrumentProfile
from nexusLIMS.extractors.profiles import get_profile_registry
if TYPE_CHECKING:
    from nexusLIMS.extractors.base import ExtractionContext
"""
THEIRS = (
    HEAD
    + """
def mark(metadata: dict[str, Any], context: ExtractionContext) -> dict[str, Any]:
    warnings = metadata["nx_meta"].get("warnings", [])
    warnings.extend([["Operator"]])
    metadata["nx_meta"]["warnings"] = warnings
    return metadata

def diffraction(metadata, context):
    if "saed" in context.file_path.name and context.instrument.name == "here":
        metadata["nx_meta"]["DatasetType"] = "Diffraction"
        metadata["nx_meta"]["Data Type"] = "TEM_Diffraction"
    metadata["nx_meta"]["Holder"] = metadata["Native"].pop("holder")
    metadata["nx_meta"]["extensions"]["seen"] = True
    return metadata

def shout(nx_meta):
    nx_meta["Specimen"] = nx_meta["Specimen"].upper()
    del nx_meta["Operator"]
    return nx_meta

HERE = InstrumentProfile(
    instrument_id="here",
    parsers={"mark": mark, "diffraction": diffraction},
    transformations={"nx_meta": shout},
    extension_fields={"Building": "223"},
)
get_profile_registry().register(HERE)
"""
)


@pytest.fixture
def local(tmp_path):
    folder = tmp_path / "profiles"
    folder.mkdir()

    def write(text, name="theirs.py"):
        (folder / name).write_text(text)
        load_profiles.cache_clear()
        return folder

    yield write
    load_profiles.cache_clear()


def parsed():
    signal = Signal(
        name="s",
        dataset_type="Image",
        data_type="TEM_Imaging",
        metadata={"operator": "ned", "specimen": "gold", "acceleration_voltage": (200.0, "kV")},
        extensions={"mine": 1},
    )
    return ParsedFile(signals=[signal], native={"Native": {"holder": "626"}})


def test_what_it_changes_in_nx_meta_is_changed(local, tmp_path):
    profile = load_profiles(local(THEIRS)).by_instrument["here"]
    given = parsed()
    (signal,) = with_profile(given, profile, tmp_path / "saed 1.dm3").signals
    assert signal.problems == ()
    assert (signal.dataset_type, signal.data_type) == ("Diffraction", "TEM_Diffraction")
    assert signal.metadata == {"specimen": "GOLD", "acceleration_voltage": (200.0, "kV")}
    assert signal.warnings == ("operator",)
    assert signal.extensions == {
        "mine": 1,
        "seen": True,
        "holder": "626",
        "Building": "223",
        "profile": f"here {profile.version}",
    }
    assert given.native == {"Native": {"holder": "626"}}


def test_it_is_used_when_a_file_is_read(local, tmp_path):
    text = HEAD + (
        "get_profile_registry().register("
        "InstrumentProfile(instrument_id='here', extension_fields={'Room': 'B 42'}))"
    )
    (tmp_path / "a.txt").write_text("words")
    here = InstrumentContext("here", "UTC")
    done = extract_file(tmp_path / "a.txt", instrument=here, profiles=local(text))
    assert done.outcome == "extracted"
    assert done.datasets[0].extensions["room"] == "B 42"


def test_its_version_follows_its_content(local):
    first = load_profiles(local(THEIRS)).by_instrument["here"].version
    assert load_profiles(local(THEIRS)).by_instrument["here"].version == first
    assert load_profiles(local(THEIRS + "# changed")).by_instrument["here"].version != first


def test_the_interface_is_there_only_while_profiles_are_read(local):
    load_profiles(local(THEIRS))
    assert [name for name in sys.modules if name.split(".")[0] == "nexusLIMS"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return None", "it returned no metadata with nx_meta"),
        ("metadata['nx_meta']['DatasetType'] = 'Film'; return metadata", "no DatasetType 'Film'"),
        ("from nexusLIMS.schemas.units import ureg", "nexusLIMS"),
    ],
)
def test_a_function_that_fails_costs_what_it_would_have_added(local, tmp_path, body, words):
    text = HEAD + (
        f"def broken(metadata, context):\n    {body}\n"
        "get_profile_registry().register("
        "InstrumentProfile(instrument_id='here', parsers={'one': broken}))\n"
    )
    profile = load_profiles(local(text)).by_instrument["here"]
    (signal,) = with_profile(parsed(), profile, tmp_path / "a.dm3").signals
    assert (signal.dataset_type, signal.metadata) == ("Image", parsed().signals[0].metadata)
    (problem,) = signal.problems
    assert problem.startswith("profile of here: broken: ")
    assert words in problem


def test_a_file_that_is_read_without_its_profile_says_which_change_that_needs(local, tmp_path):
    text = THEIRS + "\nfrom nexusLIMS.utils import set_nested\n"
    (tmp_path / "a.txt").write_text("words")
    profiles = local(text)
    done = extract_file(
        tmp_path / "a.txt", instrument=InstrumentContext("here", "UTC"), profiles=profiles
    )
    assert done.outcome == "partial"
    assert "the instrument's profile is not used: " in done.reason
    assert "make it a nexuslims_extractor Profile" in done.reason
    assert str(profiles) not in done.reason
    other = InstrumentContext("there", "UTC")
    assert extract_file(tmp_path / "a.txt", instrument=other, profiles=profiles).reason is None


async def test_what_cannot_be_carried_is_named_with_the_change(local, tmp_path):
    folder = local(THEIRS.replace('{"nx_meta": shout}', '{"ImageList": shout}'))
    assert "here" not in load_profiles(folder).by_instrument
    settings = Settings(
        instrument_data_path=tmp_path, data_path=tmp_path, local_profiles_path=folder
    )
    (finding,) = await check_profiles(settings)
    assert "transforms ImageList" in finding.problem
    assert "have it transform nx_meta" in finding.problem
