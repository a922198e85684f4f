"""Profiles: ours, a facility's own, and what is wrong with some."""

from dataclasses import replace

import pytest

from nexuslims_extractor.app import create
from nexuslims_extractor.cage.reading import Job
from nexuslims_extractor.checks import check_profiles
from nexuslims_extractor.core import extract_file
from nexuslims_extractor.errors import ProfileError
from nexuslims_extractor.profiles import Profile, load_profiles, with_profile
from nexuslims_extractor.workers import WorkerPool
from nexuslims_formats.model import InstrumentContext, ParsedFile, Signal
from nexuslims_shared.settings import Settings

LOCAL = """
from dataclasses import replace
from nexuslims_extractor.profiles import Profile

def beam_from_name(signal, native, path):
    if "cryo" not in path.stem:
        return signal
    return replace(signal, extensions={**signal.extensions, "cryo": True})

HERE = Profile(
    instrument="here",
    version="3",
    parsers=(beam_from_name,),
    transformations={"specimen": str.upper},
    metadata={"microscope": "The Good One", "acceleration_voltage": (200.0, "kV")},
    extensions={"facility": "B 42"},
    warnings=("microscope",),
)
"""


@pytest.fixture
def local(tmp_path):
    """Write a facility's profile and return the instrument's context."""
    folder = tmp_path / "profiles"
    folder.mkdir()

    def write(text, name="here.py", pid="here"):
        (folder / name).write_text(text)
        load_profiles.cache_clear()
        return {"instrument": InstrumentContext(pid, "UTC"), "profiles": folder}

    yield write
    load_profiles.cache_clear()


def signal(**more):
    return Signal(name="s", dataset_type="Image", data_type="TEM_Imaging", **more)


def test_a_facilitys_profile_is_applied(local, tmp_path):
    (tmp_path / "cryo 1.txt").write_text("words")
    done = extract_file(tmp_path / "cryo 1.txt", **local(LOCAL))
    (dataset,) = done.datasets
    assert done.outcome == "extracted"
    assert dataset.metadata["microscope"] == "The Good One"
    assert dataset.metadata["acceleration_voltage"] == {"value": 200.0, "unit": "kV"}
    assert dataset.extensions["cryo"] is True
    assert dataset.extensions["facility"] == "B 42"
    assert dataset.extensions["profile"] == "here 3"
    assert dataset.warnings == ("microscope",)


async def test_workers_apply_it_too(local, tmp_path):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "a.txt"
    path.write_text("words")
    options = local(LOCAL)
    async with WorkerPool(1) as pool:
        done = await pool.extract(Job(path=path, **options))
    assert done == extract_file(path, **options)
    assert done.datasets[0].extensions["profile"] == "here 3"


def test_other_instruments_are_left_alone(local, tmp_path):
    (tmp_path / "a.txt").write_text("words")
    options = local(LOCAL) | {"instrument": InstrumentContext("elsewhere", "UTC")}
    (dataset,) = extract_file(tmp_path / "a.txt", **options).datasets
    assert "profile" not in dataset.extensions


def test_what_the_file_tells_stands_and_may_be_transformed(tmp_path):
    given = signal(metadata={"specimen": "gold", "operator": "x", "microscope": "T"})
    profile = Profile(
        instrument="t",
        transformations={"specimen": str.title, "operator": lambda _: None, "defocus": float},
        metadata={"microscope": "another", "software": "4.2"},
    )
    (changed,) = with_profile(ParsedFile(signals=[given]), profile, tmp_path).signals
    assert changed.metadata == {"specimen": "Gold", "microscope": "T", "software": "4.2"}


def test_a_function_that_fails_costs_what_it_would_have_added(local, tmp_path):
    text = LOCAL.replace('if "cryo" not in', "if 1 / 0 and").replace("str.upper", "float")
    (tmp_path / "a.txt").write_text("words")
    done = extract_file(tmp_path / "a.txt", **local(text))
    assert done.outcome == "partial"
    assert "profile of here: beam_from_name: ZeroDivisionError" in done.reason
    assert done.datasets[0].metadata["microscope"] == "The Good One"


def test_a_parser_must_return_a_signal(tmp_path):
    def forgetful(given, _native, _path):
        replace(given, name="lost")

    profile = Profile(instrument="t", parsers=(forgetful,))
    (same,) = with_profile(ParsedFile(signals=[signal()]), profile, tmp_path).signals
    assert same.name == "s"
    assert same.problems == ("profile of t: forgetful: TypeError: it returned no Signal",)


def test_profiles_are_executed_once(local, tmp_path):
    ran = tmp_path / "ran"
    text = f"open({str(ran)!r}, 'a').write('once ')\n{LOCAL}"
    options = local(text)
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("words")
        extract_file(tmp_path / f"{number}.txt", **options)
    assert ran.read_text() == "once "


def test_a_local_profile_replaces_a_built_in_one(local):
    folder = local(LOCAL.replace('"here"', '"FEI-Titan-TEM"'))["profiles"]
    assert load_profiles(folder).by_instrument["FEI-Titan-TEM"].version == "3"
    assert load_profiles(None).by_instrument["FEI-Titan-TEM"].version == "2"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("bad.py", "import nowhere_at_all", "bad.py cannot be executed: ModuleNotFoundError"),
        ("bad.py", "def (", "bad.py cannot be executed: SyntaxError"),
        ("bad.py", "from nexusLIMS.extractors.base import X", "a profile for NexusLIMS 2.8"),
        ("bad.py", "from nexusLIMS.utils import set_nested", "No module named 'nexusLIMS.utils'"),
        ("second.py", LOCAL, "second.py has a second profile of here"),
    ],
)
async def test_a_profile_that_cannot_be_used_is_left_out_and_named(
    local, tmp_path, caplog, *, name, text, words
):
    local(LOCAL)
    folder = local(text, name)["profiles"]
    assert load_profiles(folder).by_instrument["here"].version == "3"
    assert words in caplog.text
    settings = Settings(
        instrument_data_path=tmp_path, data_path=tmp_path, local_profiles_path=folder
    )
    assert create(settings).name == "extractor"
    (finding,) = await check_profiles(settings)
    assert words in finding.problem


def test_files_beginning_with_an_underscore_are_left_out(local):
    assert "here" not in load_profiles(local("nonsense(", "_notes.py")["profiles"]).by_instrument


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ProfileError, match="NX_LOCAL_PROFILES_PATH"):
        load_profiles(tmp_path / "gone")


@pytest.mark.parametrize("pid", ["FEI-Titan-TEM", "FEI-Titan-STEM"])
def test_fields_of_titans_that_are_filled_by_hand_are_marked(tmp_path, dm_file, pid):
    image = {
        "ImageData": {
            "Data": bytes(16),
            "DataType": (5, 2),
            "Dimensions": {"a": (5, 2), "b": (5, 2)},
        },
        "ImageTags": {"Microscope Info": {"Operator": "SUPERVISOR"}},
    }
    path = tmp_path / "made.dm3"
    path.write_bytes(dm_file(3).bytes({"ImageList": {"a": image}}))
    (dataset,) = extract_file(path, instrument=InstrumentContext(pid, "UTC")).datasets
    assert dataset.warnings == ("operator",)
    assert dataset.extensions["profile"] == f"{pid} 2"
