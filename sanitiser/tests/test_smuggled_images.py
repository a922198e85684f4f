"""Images that are hidden as text, in pieces, or where only the place says that it is metadata."""

import base64
import json
import struct
import zlib

import h5py
import numpy as np
import pytest
import tifffile
from formats.tests import samples

from nexuslims_formats.testing import DmFile
from nexuslims_sanitiser.job import sanitise
from nexuslims_sanitiser.opaque import is_opaque
from nexuslims_sanitiser.plan import SanitiseError

SHOWN = np.random.default_rng(1).integers(1, 255, (48, 64), np.uint8)
IMAGE = np.random.default_rng(2).integers(33, 126, (96, 96), np.uint8)
RAW = IMAGE.tobytes()
BLOCK = 24


def pieces(content, size):
    return [content[at : at + size] for at in range(0, len(content), size)]


def named(parts):
    return b"".join(b"Row%d=%s\r\n" % (number, part) for number, part in enumerate(parts))


FORMS = {
    "raw": RAW,
    "hexadecimal": named(pieces(RAW.hex().encode(), 480)),
    "base64": named(pieces(base64.b64encode(RAW), 480)),
    "packed": named(pieces(base64.b64encode(zlib.compress(RAW)), 76)),
    "rows": named(b" ".join(b"%d" % level for level in row) for row in IMAGE),
    "one by one": named(b"%d" % level for level in IMAGE.ravel()),
    "letters": named(pieces(RAW.replace(b"=", b"-"), 96)),
    "json": json.dumps({"image": [row[:60] for row in IMAGE.tolist()]}).encode(),
    "xml": b"<a>" + b"".join(b"<p>%d</p>" % level for level in IMAGE.ravel()) + b"</a>",
}


def in_tag(path, hidden):
    extra = [(65000, 7, len(hidden), hidden, True)]
    tifffile.imwrite(path, SHOWN, metadata=None, extratags=extra)


def behind_tags(path, hidden):
    path.write_bytes(DmFile().bytes({"ImageList": {"Name": "a"}}) + hidden)


def in_extended(kind):
    def write(path, hidden):
        hidden += bytes(-len(hidden) % 768)
        image = np.ones((12, 8, 8), "i2")
        samples.write_mrc(path, image, kind=kind, extended=hidden, counts=(768, 0))

    return write


def behind_series(path, hidden):
    samples.fei_tia(path.parent)
    series = next(path.parent.glob("*.ser"))
    path.write_bytes(series.read_bytes() + hidden)


def in_spectrum(place):
    def write(path, hidden):
        head = b"#FORMAT : EMSA/MAS Spectral Data File\r\n#NPOINTS : 2\r\n"
        parts = [head, b"#SPECTRUM : \r\n1,\r\n2,\r\n", b"#ENDOFDATA : \r\n"]
        path.write_bytes(b"".join([*parts[:place], hidden, b"\r\n", *parts[place:]]))

    return write


def in_head(path, hidden):
    head = bytearray(3840) + hidden
    struct.pack_into("<ih", head, 28, len(head), 100)
    path.write_bytes(bytes(head) + bytes(range(200)) * 2)


def in_container(write_to):
    def write(path, hidden):
        with h5py.File(path, "w") as file:
            file["data"] = SHOWN
            write_to(file, hidden)

    return write


def text(file, hidden):
    file["note"] = hidden


def texts(file, hidden):
    file["notes"] = pieces(hidden, 100)


def attributes(file, hidden):
    for number, part in enumerate(pieces(hidden, 500)):
        file["data"].attrs[f"a{number}"] = np.frombuffer(part, "u1")


def small_arrays(file, hidden):
    for number, part in enumerate(pieces(hidden, 4000)):
        file[f"metadata/a{number}"] = np.frombuffer(part, "u1")


def metadata_of_velox(file, hidden):
    file["Data/Image/1/Metadata"] = np.frombuffer(b"{" + hidden, "u1")[:, None]


def fill_value(file, hidden):
    file.create_dataset("e", (2,), np.dtype(("V", len(hidden))), fillvalue=np.void(hidden))


def names(file, hidden):
    for number, part in enumerate(pieces(hidden.replace(b"/", b"|"), 200)):
        file.create_group(f"{number} {part.decode()}")


def behind_container(path, hidden):
    in_container(lambda *_: None)(path, b"")
    path.write_bytes(path.read_bytes() + hidden)


PLACES = {
    "a.tif": in_tag, "a.dm3": behind_tags, "fei.mrc": in_extended(b"FEI1"),
    "old.mrc": in_extended(b""), "serialem.mrc": in_extended(b"SERI"), "a.ser": behind_series,
    "head.msa": in_spectrum(1), "within.msa": in_spectrum(2), "behind.msa": in_spectrum(3),
    "a.spc": in_head, "behind.h5": behind_container,
    **{f"{write.__name__}.h5": in_container(write) for write in (
        text, texts, attributes, small_arrays, metadata_of_velox, fill_value, names,
    )},
}  # fmt: skip
CASES = [
    *((form, "a.tif") for form in FORMS), *((form, "text.h5") for form in FORMS),
    *(("raw", place) for place in PLACES), ("hexadecimal", "behind.h5"),
    ("one by one", "texts.h5"), ("one by one", "names.h5"), ("json", "metadata_of_velox.h5"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "place"), sorted(set(CASES)))
def test_nothing_of_an_image_is_left_or_the_file_is_refused(tmp_path, form, place):
    hidden = FORMS[form]
    blocks = [block for block in pieces(hidden, BLOCK)[:-1] if len({*block}) > 4]
    path = tmp_path / place
    PLACES[place](path, hidden)
    before = path.read_bytes()
    assert sum(block in before for block in blocks) > len(blocks) // 4
    for other in tmp_path.iterdir():
        if other != path:
            other.unlink()
    try:
        (copy,) = sanitise(path, tmp_path / "out").written
    except SanitiseError:
        assert not [*(tmp_path / "out").iterdir()]
        return
    after = copy.read_bytes()
    assert not [block for block in blocks if block in after]


def test_small_arrays_of_a_dm_file_are_no_way_for_an_image(tmp_path):
    path = tmp_path / "a.dm3"
    parts = {f"a{number}": part for number, part in enumerate(pieces(RAW * 2, 400))}
    path.write_bytes(DmFile().bytes({"ImageList": {"Hidden": parts}}))
    with pytest.raises(SanitiseError, match="delete those tags in DigitalMicrograph"):
        sanitise(path, tmp_path / "out")


@pytest.mark.parametrize(
    "words",
    [
        "HV=5000 V\r\nBeam=ETH\r\n" * 400,
        "<Root>" + "<Data><Index>5</Index><Value>2</Value></Data>" * 400 + "</Root>",
        "&lt;Data&gt;&lt;Index&gt;5&lt;/Index&gt;&lt;/Data&gt;" * 40,
        json.dumps({f"name {n}": {"value": n, "unit": "µm"} for n in range(900)}),
        "\n".join(f"[ZValue = {n}]\nTiltAngle = {n / 3:.2f}\nStage = {n} 5" for n in range(120)),
        "SubFramePath = X:\\frames\\2020-05-01\\TS_004_000_0.0.mrc\n" * 120,
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301\n" * 200,
        "試料番号: 五\n" * 300,
    ],
)
def test_metadata_is_words(words):
    assert not is_opaque(words)
