"""Sanitised DigitalMicrograph, TIA, HDF5, MRC, blockfile and spectrum files."""

import struct

import h5py
import numpy as np
import pytest

from nexuslims_formats.errors import ExtractorError
from nexuslims_sanitiser import hdf5
from nexuslims_sanitiser.check import extraction_of
from nexuslims_sanitiser.formats import recognise
from nexuslims_sanitiser.job import sanitise
from nexuslims_sanitiser.plan import SanitiseError, write_copy
from nexuslims_sanitiser.sidecars import related

SECRET = b"\x07\x11\x13\x17" * 64


@pytest.fixture
def zeroed(tmp_path):
    """Plan and write a copy, without the checks; return its bytes."""

    def write(path):
        copy = tmp_path / "copy"
        write_copy(recognise(path).plan(path), path, copy)
        return copy.read_bytes()

    return write


@pytest.mark.parametrize("version", [3, 4])
def test_every_image_of_a_dm_file_is_zeroed_and_colour_tables_stay(
    dm_file, zeroed, tmp_path, version
):
    table = b"\x05" * 1536
    tree = {
        "ImageList": {
            "0": {"ImageData": {"Data": SECRET[:64]}, "ImageTags": {"Operator": "j.doe"}},
            "1": {"ImageData": {"Data": SECRET, "CLUT": table}, "ImageTags": {"Map": SECRET * 20}},
        },
        "PageSetup": {"Win32_DevModeW": table},
    }
    path = tmp_path / f"image.dm{version}"
    raw = dm_file(version).bytes(tree)
    path.write_bytes(raw)
    content = zeroed(path)
    assert len(content) == len(raw)
    assert SECRET[:8] not in content
    assert content.count(table) == 2
    assert "j.doe".encode("utf-16-le") in content
    differing = sum(one != other for one, other in zip(raw, content, strict=True))
    assert differing == 64 + len(SECRET) * 21


def series(spectra, elements):
    """Return a TIA series of elements of 64 bytes each, all but the first without a header."""
    kind, head = (0x4120, "<ddIHI") if spectra else (0x4122, "<ddIddIHII")
    size = struct.calcsize(head) + 64 + 8
    table = 30 + 4 + 4 + 28
    start = table + 8 * elements
    out = b"II\x97\x01" + struct.pack("<HIIII", 0x210, kind, 0x4152, elements, elements)
    out += struct.pack("<II", table, 1) + struct.pack("<IddI", elements, 0, 1, 0)
    out += struct.pack("<II", 0, 0)
    out = out.ljust(table, b"\0")
    offsets = [start + size * index for index in range(elements)]
    out += struct.pack(f"<{elements}I", *offsets)
    out += struct.pack(f"<{elements}I", *(at + size - 8 for at in offsets))
    full = struct.pack(head, *((0, 1, 0, 3, 16) if spectra else (0, 1, 0, 0, 1, 0, 3, 4, 4)))
    for index in range(elements):
        out += full if index == 0 else bytes(len(full))
        out += SECRET[:64] + struct.pack("<HHI", 0x4152, 0, 1_500_000_000 + index)
    return out


@pytest.mark.parametrize("spectra", [True, False])
def test_all_elements_of_a_series_are_zeroed_and_their_times_stay(zeroed, tmp_path, spectra):
    path = tmp_path / "image_1.ser"
    path.write_bytes(series(spectra, 5))
    content = zeroed(path)
    assert SECRET[:8] not in content
    assert struct.pack("<I", 1_500_000_004) in content
    assert content.replace(bytes(64), b"") != content
    raw = path.read_bytes()
    assert sum(a != b for a, b in zip(raw, content, strict=True)) == 5 * 64


@pytest.mark.parametrize("end", [b"\r\n`\0\5\6\0\0Normalp\0\0", b"\2tail", b"\r\n`\0" + SECRET])
def test_an_emi_keeps_its_descriptions_and_nothing_of_the_data(zeroed, tmp_path, end):
    path = tmp_path / "image.emi"
    found = b"<ObjectInfo><Uuid>1</Uuid></ObjectInfo>"
    path.write_bytes(SECRET + found + b"\2" + SECRET + found + end)
    content = zeroed(path)
    size = len(SECRET)
    left = end if b"Normal" in end else end[:1] + bytes(len(end) - 1)
    assert content == bytes(size) + found + b"\2" + bytes(size) + found + left


def test_an_emi_without_description_is_refused_unless_it_is_words(zeroed, tmp_path):
    path = tmp_path / "image.emi"
    path.write_bytes(SECRET)
    with pytest.raises(SanitiseError, match="nothing tells its data"):
        zeroed(path)
    path.write_bytes(bytes(100) + b"it was broken on purpose")
    assert zeroed(path) == path.read_bytes()


def test_mrc_keeps_both_headers(zeroed, tmp_path):
    for order, stamp in (("<", b"\x44\x44"), (">", b"\x11\x11")):
        head = bytearray(b"\1" * 1024)
        struct.pack_into(f"{order}3i", head, 0, 8, 8, 4)
        struct.pack_into(f"{order}i", head, 92, 128)
        head[208:214] = b"MAP " + stamp
        path = tmp_path / "image.mrc"
        words = b"-1/2-X, 1/2+Y, -Z".ljust(80) + b"X, Y, Z".ljust(48)
        symmetry = words.ljust(160)
        struct.pack_into(f"{order}i", head, 92, len(symmetry))
        path.write_bytes(bytes(head) + symmetry + SECRET)
        assert zeroed(path) == bytes(head) + symmetry + bytes(len(SECRET))
        (tmp_path / "copy").unlink()


def test_blockfiles_keep_the_number_before_each_pattern(zeroed, tmp_path):
    head = struct.pack("<6sHIIIHHHH", b"IMGBLO", 0x102, 64, 68, 0, 8, 0, 2, 2).ljust(64, b"\1")
    frames = b"".join(struct.pack("<HI", 0x55AA, n) + SECRET[:64] for n in range(4))
    path = tmp_path / "image.blo"
    path.write_bytes(head + SECRET[:4] + frames)
    expected = b"".join(struct.pack("<HI", 0x55AA, n) + bytes(64) for n in range(4))
    assert zeroed(path) == head + bytes(4) + expected


def test_spectra_as_text_keep_their_energies_and_their_width(zeroed, tmp_path):
    head = b"#FORMAT : EMSA/MAS Spectral Data File\r\n#XPERCHAN: 10.0\r\n"
    for kind, body, left in (
        (b"XY", b"1.5, -2.5e+03\r\n3.5, .25\r\n", b"1.5, -0.0e+00\r\n3.5, .00\r\n"),
        (b"Y", b"1.5, 2.5,\r\n3.5, 99,\r\n", b"0.0, 0.0,\r\n0.0, 00,\r\n"),
    ):
        start = head + b"#DATATYPE: " + kind + b"\r\n#SPECTRUM: here\r\n"
        path = tmp_path / "spectrum.msa"
        path.write_bytes(start + body + b"#ENDOFDATA: 7\r\n")
        assert zeroed(path) == start + left + b"#ENDOFDATA: 7\r\n"
        (tmp_path / "copy").unlink()


def test_counts_of_an_spc_are_zeroed_where_its_head_says(zeroed, tmp_path):
    head = struct.pack("<ih", 100, 16).rjust(34, b"\1").ljust(100, b"\1")
    path = tmp_path / "spectrum.spc"
    path.write_bytes(head + SECRET[:64] + b"\1" * 20)
    assert zeroed(path) == head + bytes(64 + 20)


@pytest.fixture
def container(tmp_path):
    """An HDF5 file with data in every storage there is, and metadata that looks like data."""
    path = tmp_path / "data.emd"
    rng = np.random.default_rng(5)
    image = rng.integers(1, 9, (40, 50), "u2")
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["operator"] = "j.doe"
        group = file.create_group("Data/Image/a1")
        group["Data"] = image
        group["Metadata"] = np.frombuffer(b'{"a":1}'.ljust(2000, b"\0"), "u1").reshape(-1, 1)
        group["DimensionScaleX"] = np.arange(50.0)
        file.create_dataset("rescaled/packed", data=image, chunks=(16, 16), compression="gzip")
        file.create_dataset("chunked", data=image, chunks=(16, 16))
        file["signal"] = np.arange(1, 5)
        file["settings"] = np.arange(1, 5)
        file["Thumbnail.jpg"] = np.frombuffer(SECRET, np.dtype("V16"))
        rows = file.create_dataset("EventList", (6, 6), h5py.vlen_dtype("u4"), chunks=(2, 3))
        for index in np.ndindex(rows.shape):
            rows[index] = rng.integers(1, 99, 1 + sum(index))
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((4, 4))
        made = h5py.h5d.create(file.id, b"compact", h5py.h5t.NATIVE_INT16, space, create)
        made.write(space, space, np.full((4, 4), 7, "i2"))
    return path


def test_hdf5_in_every_storage(container, tmp_path):
    (copy,) = sanitise(container, tmp_path / "out").written
    assert SECRET[:8] not in copy.read_bytes()
    with h5py.File(copy) as file, h5py.File(container) as before:
        for name in ("Data/Image/a1/Data", "rescaled/packed", "chunked", "signal", "compact"):
            assert before[name][()].any()
            assert not file[name][()].any()
            assert file[name].shape == before[name].shape
        rows, others = file["EventList"], before["EventList"]
        for index in np.ndindex(rows.shape):
            assert len(rows[index]) == len(others[index])
            assert not rows[index].any()
        for name in ("Data/Image/a1/Metadata", "Data/Image/a1/DimensionScaleX", "settings"):
            assert (file[name][()] == before[name][()]).all()
        assert file.attrs["operator"] == "j.doe"


def test_hdf5_whose_data_lies_elsewhere_is_refused(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        beside = str(tmp_path / "other.raw")
        file.create_dataset("image", (4, 4), "u1", external=[(beside, 0, 16)])
    with pytest.raises(SanitiseError, match="another file"):
        sanitise(path, tmp_path / "out")


def test_the_check_finds_what_a_plan_forgot(container, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_spans", lambda _: iter(()))
    monkeypatch.setattr(hdf5, "_lies_plain", lambda _: True)
    monkeypatch.setattr(hdf5, "deleted_spans", lambda *_: ())
    out = tmp_path / "out"
    with pytest.raises(SanitiseError, match="still shows data, as h5py reads it"):
        sanitise(container, out)
    assert not list(out.iterdir())


def test_damage_anywhere_gives_a_reason_or_a_whole_copy(container, tmp_path):
    whole = container.read_bytes()
    rng = np.random.default_rng(6)
    out = tmp_path / "out"
    for _ in range(12):
        damaged = bytearray(whole)
        for at in rng.integers(512, len(whole), 6):
            damaged[at] ^= 0xFF
        container.write_bytes(damaged)
        try:
            (copy,) = sanitise(container, out).written
        except ExtractorError:
            assert not list(out.iterdir())
        else:
            copy.unlink()


def mrc(path):
    head = bytearray(1024)
    struct.pack_into("<4i", head, 0, 8, 8, 4, 0)
    struct.pack_into("<6i", head, 16, 0, 0, 0, 8, 8, 4)
    head[208:214] = b"MAP \x44\x44"
    path.write_bytes(bytes(head) + SECRET)
    return path


def test_a_movie_takes_along_what_its_server_wrote(tmp_path):
    path = mrc(tmp_path / "Gold_movie.mrc")
    info = (
        b"Server Software Version    = 2.7.5\nInstrument Accelerating Voltage (V) = 300000\n"
        b"Faraday Plate - Peak Intensity (pA/cm^2) = 0\n"
    )
    (tmp_path / "Gold_info.txt").write_bytes(info)
    copy, beside = sanitise(path, tmp_path / "out").written
    assert (copy.name, beside.name) == ("Gold_dataZeroed_movie.mrc", "Gold_dataZeroed_info.txt")
    assert beside.read_bytes() == info
    assert extraction_of(copy)["signals"][0]["metadata"]["acceleration_voltage"] == [300000.0, "V"]
    assert not any(copy.read_bytes()[1024:])


@pytest.mark.parametrize(("rest", "copies"), [(b"", 2), (b"\xd3" * 700, 1)])
def test_an_mrc_takes_its_mdoc_along_unless_more_is_in_it(tmp_path, rest, copies):
    path = mrc(tmp_path / "tilt.mrc")
    text = (
        b"Version = 4.1\r\nImageFile = tilt.mrc\r\n\r\n[T = Tilt axis = 84.8]\r\n[ZValue = 0]\r\n"
    )
    (tmp_path / "tilt.mrc.mdoc").write_bytes(text + rest)
    assert len([path, *related(path)]) == copies
    if copies == 1:
        return
    written = sanitise(path, tmp_path / "out").written
    assert {each.name for each in written} == {
        "tilt_dataZeroed.mrc",
        "tilt_dataZeroed.mrc.mdoc",
    }
