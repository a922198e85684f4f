import struct

import numpy as np
import pytest
import tifffile

from nexuslims_formats import read
from nexuslims_formats.errors import LimitExceededError, UnreadableFileError
from nexuslims_formats.tiff.fei import FeiTiffExtractor
from nexuslims_formats.tiff.orion import OrionTiffExtractor
from nexuslims_formats.tiff.rasters import rasters
from nexuslims_formats.tiff.sparse import decoded_sparsely
from nexuslims_formats.tiff.tags import read_tiff
from nexuslims_formats.trees import ini_sections, parse_xml, xml_tree

SECTIONS = """[User]
Date=12/18/2017
Time=01:04:14 PM
User=somebody
[Beam]
HV=30000
ScanRotation=0.5
Beam=EBeam
Scan=EScan
[EBeam]
HFW=0.000452548
WD=0.011051
[Scan]
Dwelltime=3e-005
PixelWidth=4.41942e-007
PixelHeight=4.41942e-007
[Stage]
StageX=0.009654
StageR=0.0010584
[Detectors]
Name=ETD
"""


@pytest.mark.parametrize("compression", [None, "lzw", "deflate"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_rasters_agree_with_tifffile(tmp_path, compression, byteorder, bigtiff):
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    path = tmp_path / "image.tif"
    tifffile.imwrite(
        path, pixels, compression=compression, byteorder=byteorder, bigtiff=bigtiff, rowsperstrip=7
    )
    (raster,) = rasters(read_tiff(path))
    assert (raster.shape, raster.dtype) == ((20, 30), "uint16")
    np.testing.assert_array_equal(raster.pixels(), pixels)


def test_pages_of_one_shape_make_a_stack(tmp_path):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in range(3):
            writer.write(np.full((4, 5), page, np.uint8), contiguous=False)
        writer.write(np.zeros((2, 2), np.float32), contiguous=False)
    stack, other = rasters(read_tiff(path))
    assert stack.shape == (3, 4, 5)
    assert stack.pixels()[2, 0, 0] == 2
    assert (other.shape, other.dtype) == ((2, 2), "float32")


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_long_stack_is_shown_by_a_few_of_its_pages(tmp_path, compression):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in range(1500):  # more than files may be open
            writer.write(np.full((2, 2), page % 250, np.uint8), compression=compression)
    (stack,) = rasters(read_tiff(path))
    assert stack.shape == (1500, 2, 2)
    assert [int(page[0, 0]) for page in stack.pixels()] == [n * 167 % 250 for n in range(9)]


def test_a_page_amid_a_stack_that_lies_behind_the_file_is_a_problem(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.ones((3, 4, 4), np.uint8), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as file:
        place = file.pages[1].tags["StripOffsets"].valueoffset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(struct.pack("<I", 10**6))
    (stack,) = rasters(read_tiff(path))
    assert "ends at byte 1000016" in stack.problem


def entry(code, kind, count, value):
    return struct.pack("<HHII", code, kind, count, value)


def directory(*entries, following=0):
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)


def test_a_directory_that_refers_to_itself_is_refused(tmp_path):
    path = tmp_path / "loop.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(entry(256, 3, 1, 1), following=8))
    with pytest.raises(LimitExceededError, match="itself"):
        read_tiff(path)


def test_absurd_claims_are_refused(tmp_path):
    size = 1 << 31
    path = tmp_path / "huge.tif"
    entries = (entry(256, 4, 1, size), entry(257, 4, 1, size))
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory(*entries))
    with pytest.raises(LimitExceededError, match="pixels"):
        rasters(read_tiff(path))


@pytest.mark.parametrize("content", [b"no TIFF at all", b"II*\0", b"II*\0\x00\x10\x00\x00"])
def test_what_is_no_tiff_is_refused_with_a_reason(tmp_path, content):
    path = tmp_path / "named.tif"
    path.write_bytes(content + bytes(20 if content == b"no TIFF at all" else 0))
    with pytest.raises(UnreadableFileError):
        read_tiff(path)


def test_fei_sections_are_metres_and_radians(fei_tiff):
    path = fei_tiff("fei.tif", np.zeros((6, 8), np.uint8), SECTIONS)
    extractor = FeiTiffExtractor()
    assert extractor.supports(path, path.read_bytes()[:4096])
    (signal,) = extractor.open(path).signals
    assert signal.metadata["acceleration_voltage"] == (30000.0, "V")
    assert signal.metadata["stage_x"] == (0.009654, "m")
    assert signal.metadata["stage_rotation"] == (0.0010584, "rad")
    assert signal.metadata["scan_rotation"] == (0.5, "rad")
    assert signal.metadata["detector_type"] == "ETD"
    assert signal.acquired.when.isoformat() == "2017-12-18T13:04:14"
    assert signal.axes[1].unit == "nm"
    assert signal.axes[1].scale == pytest.approx(441.942)


def test_the_pixel_of_a_camera_in_the_chamber_is_its_field_over_its_pixels(fei_tiff):
    text = (
        "[User]\nDate=12/18/2017\n[Beam]\nBeam=IRBeam\nScan=\n[IRBeam]\nHFW=0.2028\nVFW=0.1455\n"
        "[Image]\nResolutionX=768\nResolutionY=551\n"
    )
    path = fei_tiff("navcam.tif", np.zeros((551, 768), np.uint8), text)
    (signal,) = FeiTiffExtractor().open(path).signals
    y, x = signal.axes
    assert (round(x.scale, 4), x.unit) == (264.0625, "um")
    assert (round(y.scale, 4), y.unit) == (264.0653, "um")


def test_repeated_sections_are_kept_apart():
    sections = ini_sections("[Gas1]\nName=Pt\n[Gas1]\nName=C\n")
    assert sections == {"Gas1": {"Name": "Pt"}, "Gas1#2": {"Name": "C"}}


def test_foreign_xml_resolves_no_entities(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    document = f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]><r>&x;</r>'
    assert "do not tell" not in (parse_xml(document.encode()).text or "")


def test_an_entity_bomb_is_refused():
    entities = "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};">' for n in range(1, 40))
    bomb = f'<!DOCTYPE r [<!ENTITY e0 "xx">{entities}]><r>&e39;</r>'
    with pytest.raises(UnreadableFileError, match="damaged"):
        parse_xml(bomb.encode())


def test_many_repeated_names_are_numbered_in_no_time():
    count = 40_000
    sections = ini_sections("[a]\nx=1\n" * count)
    assert len(sections) == count
    assert f"a#{count}" in sections
    tree = xml_tree(parse_xml(b"<r>" + b"<a>1</a>" * count + b"</r>"))
    assert len(tree) == count


def test_a_numbered_name_that_is_there_already_is_skipped():
    assert list(ini_sections("[a#2]\nx=1\n[a]\nx=2\n[a]\nx=3\n")) == ["a#2", "a", "a#3"]


def test_a_page_in_the_middle_that_is_cut_off_is_reported(tmp_path):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(3):
            writer.write(np.ones((4, 5), np.uint8), photometric="minisblack", contiguous=False)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[1].tags["StripOffsets"].overwrite(10**6)
    (raster,) = rasters(read_tiff(path))
    assert "the file at" in raster.problem


def test_units_of_orion_are_those_beside_the_values(tmp_path):
    path = tmp_path / "orion.tif"
    text = "".join(
        f"<{name}><Value>{value}</Value><Units>{unit}</Units></{name}>"
        for name, value, unit in (
            ("WorkingDistance", 8500, "micrometers"),
            ("AccelerationVoltage", 30, "Kilovolts"),
        )
    )
    tags = [(65000, "s", 0, f"<ImageTags>{text}</ImageTags>", True)]
    tifffile.imwrite(path, np.ones((4, 5), np.uint8), extratags=tags, metadata=None)
    (signal,) = OrionTiffExtractor().open(path).signals
    metadata = signal.metadata
    assert metadata["working_distance"] == (8500.0, "um")
    assert metadata["acceleration_voltage"] == (30.0, "kV")
    assert signal.extensions["zeiss_working_distance_units"] == "micrometers"


@pytest.mark.parametrize("side", [64, 100, 1000])
@pytest.mark.parametrize(
    "options",
    [
        {"tile": (128, 112)}, {"rowsperstrip": 50}, {"tile": (128, 112), "photometric": "rgb"},
        {"rowsperstrip": 50, "photometric": "rgb", "planarconfig": "separate"},
    ],
)  # fmt: skip
def test_large_compressed_pages_are_decoded_in_pieces(tmp_path, options, side):
    path = tmp_path / "large.tif"
    colours = 3 if "photometric" in options else 1
    pixels = np.arange(300 * 280 * colours, dtype="<u4").reshape(300, 280, colours)
    separate = options.get("planarconfig") == "separate"
    stored = np.moveaxis(pixels, -1, 0) if separate else pixels
    pixels = pixels if colours > 1 else pixels[..., 0]
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(path, stored if colours > 1 else pixels, compression="zlib", **options)
    step = max(1, 280 // side)
    expected = pixels[::step, ::step]
    np.testing.assert_array_equal(decoded_sparsely(path, 0, pixels.shape, side), expected)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("17:05:09", "2016-05-16T12:05:09-05:00"),  # the header's clock runs in UTC
        ("12:05:09", "2016-05-16T12:05:09+00:00"),  # both are local: no offset is known
        ("12:31:09", "2016-05-16T12:05:09+00:00"),  # no zone is 26 minutes from UTC
    ],
)
def test_two_clocks_of_tescan_reveal_the_zone(tmp_path, header, expected):
    path = tmp_path / "tescan.tif"
    text = f"[MAIN]\nDate=2016-05-16\nTime={header}\n[SEM]\nHV=10000\n".encode()
    tifffile.imwrite(
        path, np.ones((4, 5), np.uint8), extratags=[(50431, "B", 0, text, True)],
        metadata=None, datetime="2016:05:16 12:05:09",
    )  # fmt: skip
    (dataset,) = read(path).datasets
    assert dataset.creation_time.isoformat() == expected
