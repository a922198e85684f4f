"""Files that lie, that are damaged, or that would have something else read."""

import bz2
import json
import os
import socket
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from nexuslims_extractor.cage.reading import Job
from nexuslims_extractor.printing import as_record
from nexuslims_extractor.workers import MEBIBYTE, Limits, WorkerPool
from nexuslims_formats.registry import installed

EXTENSIONS = sorted({name for plugin in installed() for name in plugin.extensions})
SECRET = "this is not for you"


@pytest.fixture
def secret(tmp_path):
    """A file outside the folder that the test's files are in."""
    path = tmp_path / "elsewhere" / "secret.txt"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


# --- cut short ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", EXTENSIONS)
def test_an_empty_file(judged, store, suffix):
    path = store / f"empty.{suffix}"
    path.touch()
    done = judged(path)
    assert (done.outcome, done.reason) == ("failed", f"empty.{suffix}: the file is empty")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "name", ["gatan.dm3", "gatan.dm4", "images.ser", "spectra.ser", "alone.emi", "fei.tif",
             "fei_big.tif", "fei_lzw.tif", "zeiss.tif", "tescan.tif"],
)  # fmt: skip
def test_a_truncated_file(judged, whole, store, name, kept):
    path = store / name
    path.write_bytes(whole[name][: int(len(whole[name]) * kept)])
    done = judged(path, ours=True)
    assert done.outcome in ("failed", "partial")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("image.png", "the image cannot be opened"),
        ("image.jpg", "ends within its image"),
        ("image.gif", "ends within its image"),
    ],
)
def test_a_truncated_image(judged, store, name, reason):
    path = store / name
    Image.effect_noise((64, 64), 50).save(path)
    assert judged(path).outcome == "extracted"
    path.write_bytes(path.read_bytes()[:-1000])
    done = judged(path)
    assert done.outcome in ("partial", "failed")
    assert reason in done.reason


def test_a_stack_cut_short_gives_the_pages_that_are_there(judged, store):
    path = store / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in range(4):
            writer.write(np.full((64, 64), page, np.uint8), contiguous=False, metadata=None)
    path.write_bytes(path.read_bytes()[:-4200])
    done = judged(path, artifacts_root=store / "data", previews=True)
    assert done.outcome == "partial"
    assert "the file ends " in done.reason
    assert done.datasets[0].shape == (3, 64, 64)
    assert done.previews


def test_a_truncated_mrc(judged, store):
    path = store / "made.mrc"
    header = np.zeros(256, "<i4")
    header[:4] = (64, 64, 3, 0)
    path.write_bytes(header.tobytes() + bytes(3 * 64 * 64))
    assert judged(path).outcome == "extracted"
    path.write_bytes(path.read_bytes()[:-5])
    assert "the data ends at byte 13312, but the file at 13307" in judged(path).reason


def test_a_truncated_msa(judged, store):
    path = store / "made.msa"
    head = "".join(
        f"#{name:<13}: {value}\n"
        for name, value in {
            "FORMAT": "EMSA/MAS Spectral Data File", "VERSION": "1.0", "TITLE": "made",
            "DATE": "01-JAN-2020", "TIME": "12:00", "NPOINTS": "6.", "NCOLUMNS": "1.",
            "XUNITS": "eV", "YUNITS": "counts", "DATATYPE": "Y", "XPERCHAN": "10.", "OFFSET": "0.",
            "SPECTRUM": "",
        }.items()
    )  # fmt: skip
    whole = head + "1.\n2.\n3.\n4.\n5.\n6.\n#ENDOFDATA   :\n"
    path.write_text(whole)
    assert judged(path).outcome == "extracted"
    path.write_text(whole[: whole.index("5.")])
    assert "ends within its spectrum" in judged(path).reason


@pytest.mark.parametrize("content", range(0, 4000, 500))
def test_a_truncated_elid(judged, store, content):
    """A reader that waited for more would wait for ever."""
    path = store / "made.elid"
    whole = bz2.compress(b"EID2\4\0\0\0" + np.random.default_rng(0).bytes(content))
    path.write_bytes(whole)
    assert "compressed data" not in judged(path).reason  # it is no project, but it has its end
    path.write_bytes(whole[:-12])
    assert "ends within its compressed data" in judged(path).reason


# --- claims ------------------------------------------------------------------------------------


def test_a_directory_that_follows_itself(judged, store, tiff):
    path = store / "loop.tif"
    path.write_bytes(tiff((256, 3, 1, 4), (257, 3, 1, 4), following=8))
    assert "refers back to itself" in judged(path).reason


@pytest.mark.parametrize("size", [1 << 31, (1 << 32) - 1])
def test_more_pixels_than_there_are(judged, store, tiff, size):
    path = store / "huge.tif"
    path.write_bytes(tiff((256, 4, 1, size), (257, 4, 1, size)))
    assert f"claims {size} x {size} pixels" in judged(path, previews=True).reason


def test_more_tags_than_there_are(judged, store):
    path = store / "tags.tif"
    path.write_bytes(b"II*\0\x08\0\0\0\xff\xff" + bytes(400))
    assert "claims 65535 tags" in judged(path).reason
    path.write_bytes(b"II*\0\x08\0\0\0\xff\x0f" + bytes(40))
    assert "ends within its TIFF directory" in judged(path).reason


def test_a_value_longer_than_the_file(judged, store, tiff):
    path = store / "long.tif"
    path.write_bytes(tiff((256, 3, 1, 4), (257, 3, 1, 4), (34682, 2, 0xFFFFFFFF, 100)))
    assert "claims 4294967295 bytes" in judged(path).reason


def test_offsets_beyond_the_end(judged, store, tiff, whole):
    path = store / "beyond.tif"
    path.write_bytes(tiff((256, 3, 1, 4), (257, 3, 1, 4), (273, 4, 1, 1 << 30), (279, 4, 1, 16)))
    assert "the image ends at byte" in judged(path, ours=True).reason
    series = bytearray(whole["images.ser"])
    series[22:26] = b"\xff\xff\xff\x7f"
    path = store / "beyond.ser"
    path.write_bytes(series)
    assert "points to" in judged(path, ours=True).reason


# --- foreign XML -------------------------------------------------------------------------------

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e0 "boom">'
    + "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};&e{n - 1};">' for n in range(1, 40))
    + "]>"
)
BODIES = {
    "orion.tif": "<ImageTags><Operator><Value>&%s;</Value></Operator></ImageTags>",
    "alone.emi": "<ObjectInfo><Manufacturer>&%s;</Manufacturer></ObjectInfo>",
    "spectrum.spx": "<TRTSpectrum><ClassInstance><Name>&%s;</Name></ClassInstance></TRTSpectrum>",
}


@pytest.fixture
def with_xml(store, tagged):
    def write(name, document):
        path = store / name
        if name.endswith(".tif"):
            tagged(path, 65000, document)
        else:
            path.write_text(document)
        return path

    return write


@pytest.mark.parametrize("name", BODIES)
def test_an_entity_bomb(judged, with_xml, name):
    done = judged(with_xml(name, BOMB + BODIES[name] % "e39"))
    assert "boomboom" not in json.dumps(as_record(done))
    read_as_image = name == "orion.tif"
    assert (done.outcome != "failed") == read_as_image
    assert (done.extractor.name == "plain_tiff") == read_as_image


@pytest.mark.parametrize("name", BODIES)
def test_an_external_entity(judged, with_xml, name, secret):
    document = f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]>' + BODIES[name] % "x"
    assert SECRET not in json.dumps(as_record(judged(with_xml(name, document))))


# --- HDF5 --------------------------------------------------------------------------------------


@pytest.fixture
def hdf5(store):
    """Write an HDF5 file by a function that fills it."""

    def write(fill, name="made.hspy"):
        path = store / name
        with h5py.File(path, "w") as file:
            file.attrs["file_format"] = "HyperSpy"
            file.attrs["file_format_version"] = "3.3"
            fill(file)
        return path

    return write


def test_a_group_that_contains_itself(judged, hdf5):
    def fill(file):
        group = file.create_group("Experiments/one")
        group["again"] = file["Experiments"]

    done = judged(hdf5(fill))
    assert done.outcome == "failed"
    assert "contains itself" in done.reason


def test_a_soft_link_to_itself(judged, hdf5):
    def fill(file):
        file["Experiments"] = h5py.SoftLink("/Experiments")

    assert judged(hdf5(fill)).outcome == "failed"


def _external_link(file, target):
    file["Experiments"] = h5py.ExternalLink(str(target), "/Experiments")


def _external_data(file, target):
    file.create_dataset("data", (8,), "u1", external=[(str(target), 0, 8)])


def _virtual_data(file, target):
    layout = h5py.VirtualLayout((8,), "u1")
    layout[:] = h5py.VirtualSource(str(target), "data", (8,))
    file.create_virtual_dataset("data", layout)


@pytest.mark.parametrize("name", ["made.hspy", "made.emd", "made.nxs", "made.h5", "made.bin"])
@pytest.mark.parametrize("fill", [_external_link, _external_data, _virtual_data])
@pytest.mark.parametrize("relative", [True, False])
def test_hdf5_that_refers_to_what_lies_outside(judged, hdf5, fill, name, relative):
    target = Path("../secret.h5") if relative else Path("/etc/secret.h5")
    done = judged(hdf5(lambda file: fill(file, target), name))
    assert done.outcome == "failed"
    assert f"refers to {str(target)!r}, outside its folder" in done.reason


def test_hdf5_that_refers_to_its_neighbours(judged, hdf5, secret):
    hdf5(lambda file: file.create_dataset("data", data=np.zeros(8, "u1")), "part.h5")
    done = judged(hdf5(lambda file: _virtual_data(file, "part.h5"), "made.nxs"))
    assert "outside" not in str(done.reason)
    hdf5(lambda file: _external_link(file, secret), "part.h5")
    done = judged(hdf5(lambda file: _external_link(file, "part.h5"), "made.nxs"))
    assert "outside its folder" in done.reason


@pytest.mark.parametrize("fill", [_external_link, _external_data, _virtual_data])
def test_hdf5_that_refers_to_the_working_directory(judged, hdf5, secret, monkeypatch, fill):
    """HDF5 looks there too, and for raw data only there."""
    monkeypatch.chdir(secret.parent)
    done = judged(hdf5(lambda file: fill(file, secret.name), "made.hspy"))
    assert "outside its folder" in done.reason


def test_a_neighbour_that_is_a_link_out(judged, hdf5, secret):
    def fill(file):
        _external_link(file, "part.h5")

    path = hdf5(fill)
    (path.parent / "part.h5").symlink_to(secret)
    assert "outside its folder" in judged(path).reason


# --- archives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "members"),
    [("bomb.zspy", (".zgroup", "zarr.json")), ("bomb.prz", ("meta_data_json.npy",))],
)
async def test_a_zip_bomb(store, name, members):
    path = store / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member in members:
            with archive.open(member, "w") as stream:
                for _ in range(400):
                    stream.write(b" " * MEBIBYTE)
    async with WorkerPool(1, Limits(seconds=30.0, memory=300 * MEBIBYTE)) as pool:
        done = await pool.extract(Job(path=path, previews=True, artifacts_root=store / "data"))
    assert done.outcome in ("failed", "unsupported")
    assert done.reason


# --- what is no file, and what lies beside one --------------------------------------------------


@pytest.fixture
def odd(store):
    """Make something that is no regular file."""

    def make(kind, name):
        path = store / name
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to({"device": "/dev/zero", "nowhere": "gone", "loop": name}[kind])
        return path

    return make


ODD = ("pipe", "socket", "folder", "device", "nowhere", "loop")


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_not_opened(judged, odd, kind):
    assert judged(odd(kind, "odd.dm3")).outcome == "failed"


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    "pair", ["images.ser images.emi", "tescan.tif tescan.hdr", "alone.emi alone_1.ser"]
)
def test_what_is_no_file_beside_one(judged, whole, odd, store, pair, kind):  # noqa: PLR0917 - fixtures
    name, companion = pair.split()
    (store / name).write_bytes(whole[name])
    odd(kind, companion)
    assert judged(store / name).datasets


async def test_a_companion_that_is_a_link_out_is_not_read(judged, whole, store, secret):
    (store / "tescan.tif").write_bytes(whole["tescan.tif"])
    (store / "tescan.hdr").symlink_to(secret)
    secret.write_text(f"[MAIN]\nDevice={SECRET}\n")
    async with WorkerPool(1) as pool:
        isolated = await pool.extract(Job(path=store / "tescan.tif"))
    for done in (isolated, judged(store / "tescan.tif")):
        assert SECRET not in json.dumps(as_record(done))
        assert "outside its folder" in done.reason


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device"])
@pytest.mark.parametrize("pair", ["x.mib x.hdr", "x.spd x.spc", "x.spd x.ipr"])
def test_what_is_no_file_where_a_reader_looks_for_one(judged, odd, store, pair, kind):
    """At a pipe it would wait for ever."""
    name, companion = pair.split()
    numbers = struct.pack("<8i", 1, 1, 1, 1, 8, 1, 180, 1)
    heads = {
        "x.spd": b"MAPSPECTRA_DATA\0" + numbers + b"x.bmp",
        "x.mib": b"MQ1,000001,00384,01,0008,0004,U08,",
    }
    (store / name).write_bytes(heads[name].ljust(4096, b"\0"))
    odd(kind, companion)
    assert companion in judged(store / name).reason


def test_a_unit_that_no_table_has(judged, store):
    """The library that knows all others keeps a cache outside of what a worker may open."""
    path = store / "unit.msa"
    head = "#FORMAT : EMSA/MAS\n#VERSION : 1.0\n#NPOINTS : 2\n#DATATYPE : Y\n#XPERCHAN : 10\n"
    rows = "#BEAMKV -furlong : 3\n#SPECTRUM : \n1\n2\n#ENDOFDATA :\n"
    path.write_text(head + rows)
    answer = judged(path)
    assert answer.outcome == "partial"
    assert "furlong" in answer.reason


@pytest.mark.parametrize("seconds", [-(10**10), 10**11])
def test_a_modification_time_of_no_age(judged, store, seconds):
    path = store / "old.txt"
    path.write_text("words")
    os.utime(path, (seconds, seconds))
    assert judged(path).outcome == "extracted"


# --- names -------------------------------------------------------------------------------------

NAMES = [
    "new\nline.tif",
    "quo'te\".tif",
    "a&b<c>.tif",
    "tab\t.tif",
    b"bad\xff.tif",
    "rtl\u202e.tif",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_a_disk_takes(judged, whole, store, name, tmp_path):
    path = store / os.fsdecode(name)
    path.write_bytes(whole["fei.tif"])
    done = judged(path, artifacts_root=tmp_path / "data", previews=True)
    assert done.outcome == "extracted"
    assert done.datasets[0].preview
    assert done.datasets[0].model_dump_json(exclude={"preview"})
    path.write_bytes(b"II*\0 and then nothing")
    done = judged(path)
    assert done.reason.isprintable()
    done.reason.encode()
