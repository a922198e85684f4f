"""What shows the sample in an HDF5 file, and where it may hide."""

import base64

import h5py
import numpy as np
import pytest

from nexuslims_sanitiser import hdf5
from nexuslims_sanitiser.hdf5_datasets import datasets_of
from nexuslims_sanitiser.hdf5_deleted import deleted_spans
from nexuslims_sanitiser.job import sanitise
from nexuslims_sanitiser.plan import SanitiseError, Span

RNG = np.random.default_rng(8)
NOISE = RNG.integers(1, 255, 4096, "u1")
JPEG = b"\xff\xd8\xff\xe0" + bytes(200) + b"\xff\xda" + NOISE.tobytes() + b"\xff\xd9"

VISIBLE = {
    "off-axis holography/eels": NOISE,
    "my metadata/image": NOISE,
    "metadata/long": np.tile(NOISE.astype("f8"), 2),
    "axis/counts": NOISE[:500],
    "calibration": NOISE.astype("f8"),
    "Metadata": NOISE.reshape(-1, 1),
    "opaque": np.void(NOISE.tobytes()),
    "mixed": np.array([(b"a", NOISE[:64])] * 9, [("name", "S4"), ("pixels", "u1", 64)]),
}
KEPT = {
    "energy_axis": np.arange(4096.0),
    "original_metadata/stages": RNG.normal(0, 1, 50),
    "Rotation": NOISE[:3],
    "settings": np.arange(1, 5),
    "a/Metadata": np.frombuffer('{"Name": "Å"}'.encode().ljust(4000, b"\0"), "u1").reshape(-1, 1),
}


@pytest.fixture
def write(tmp_path):
    def writer(datasets, attributes=None):
        path = tmp_path / "data.h5"
        with h5py.File(path, "w") as file:
            file.attrs.update(attributes or {})
            for name, value in datasets.items():
                file[name] = value
        return path

    return writer


def test_only_what_describes_is_kept(write, tmp_path):
    source = write(VISIBLE | KEPT)
    (copy,) = sanitise(source, tmp_path / "out").written
    assert NOISE[:16].tobytes() not in copy.read_bytes()
    with h5py.File(copy) as file:
        assert {dataset.name.strip("/") for dataset in datasets_of(file)} == {*VISIBLE}
        for name in VISIBLE:
            assert not file[name][()].tobytes().strip(b"\0")
        for name, value in KEPT.items():
            assert (file[name][()] == value).all()


@pytest.mark.parametrize(
    ("datasets", "attributes", "reason"),
    [
        ({}, {"thumb": NOISE.reshape(64, 64)}, "the attribute thumb of / holds 4096 bytes"),
        ({}, {"thumb": np.void(NOISE.tobytes())}, "the attribute thumb of / holds 4096 bytes"),
        ({}, {"icon": base64.b64encode(JPEG).decode()}, "icon of / holds an image in its text"),
        ({"icon": base64.b64encode(JPEG).decode()}, {}, "/icon holds an image in its text"),
    ],
)
def test_images_where_no_array_is_are_refused(write, tmp_path, datasets, attributes, reason):
    source = write(datasets, attributes)
    with pytest.raises(SanitiseError, match=reason):
        sanitise(source, tmp_path / "out")


@pytest.mark.parametrize("form", ["u1", "u2", "u4", "f4", "f8"])
def test_deleted_data_is_zeroed(write, tmp_path, form):
    secret = (RNG.normal(100, 20, 4096) if form[0] == "f" else NOISE).astype(form)
    source = write({"secret": secret, "image": NOISE.reshape(64, 64)})
    sanitise(source, tmp_path / "before")
    with h5py.File(source, "r+") as file:
        del file["secret"]
    assert secret.tobytes() in source.read_bytes()
    (copy,) = sanitise(source, tmp_path / "out").written
    content, raw = copy.read_bytes(), secret.tobytes()
    left = [raw[at : at + 64] in content for at in range(0, len(raw), 64)]
    assert sum(left) * 64 <= 1024
    (twice,) = sanitise(copy, tmp_path / "twice").written
    assert twice.read_bytes() == content


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_structures_and_attributes_are_no_deleted_data(tmp_path, version):
    source = tmp_path / "data.h5"
    rng = np.random.default_rng(10)
    with h5py.File(source, "w", libver=version) as file:
        for number in range(60):
            file.attrs[f"row {number}"] = rng.random(12)
            file.create_group(f"g{number}").attrs.update({"x": rng.random(), "y": "µ"})
        image = rng.integers(0, 255, (512, 512), "u1")
        for limit in ((512, 512), (None, 512), (None, None)):
            options = {"chunks": (16, 16), "compression": "gzip", "maxshape": limit}
            file.create_dataset(f"image{limit}", data=image, **options)
    assert sanitise(source, tmp_path / "out").written


@pytest.mark.parametrize("words", ["Vergrößerung ", "電子顕微鏡の倍率", "plain text\n"])
def test_text_in_any_script_is_no_deleted_data(tmp_path, words):
    path = tmp_path / "text"
    path.write_bytes((words * 400).encode())
    assert not [*deleted_spans(path, [])]


def test_structures_taken_for_deleted_data_are_refused(write, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "deleted_spans", lambda path, *_: [Span(0, path.stat().st_size)])
    with pytest.raises(SanitiseError, match="h5repack"):
        sanitise(write(VISIBLE), tmp_path / "out")
