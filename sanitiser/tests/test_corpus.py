"""Real files, sanitised: checked there and back, and the incumbent's own archives left alone."""

import pytest

from nexuslims_formats.digitalmicrograph.tags import ArrayRef, read_tags
from nexuslims_sanitiser.check import extraction_of
from nexuslims_sanitiser.job import sanitise

pytestmark = pytest.mark.corpus

# the others: make bench-sanitise
ENTRIES = [
    "dm3__EELS_STO.dm3",
    "dm4__test-MonoCL_spectrum-SI.dm4",
    "dm5__ref_T_0_1.dm5",
    "tif-fei__FEI-Helios-Ebeam-8bits.tif",
    "tif-fei__quanta_no_beam_scan_or_system_meta.tif",
    "tif-fei__scios_xml_metadata.tif",
    "tif-zeiss-sem__test_tiff_Zeiss_SEM_512pix.tif",
    "tif-jeol__JEOL-SightX-TEM-mag-dummy.tif",
    "tif-gatan__test_loading_image_saved_with_DM_stack.tif",
    "tif-orion__orion-fibics_dataZeroed.tif",
    "emd-velox__EDS-STO.emd",
    "emd-velox__fei_example_tem_stack.emd",
    "emd-prismatic__Si100_3D.emd",
    "emi-ser__Titan_TEM_13_unreadable_ser.emi",
    "blo__test2.blo",
    "mrc__Custom_movie.mrc",
    "hspy__example2_v3.1.hspy",
    "nxs__simple_signal.nxs",
    "delmic__sparc-hyperspectral-spot.h5",
    "tofwerk__pfib-tofwerk_raw.h5",
    "msa__example1.msa",
    "msa__ISO_22029_2022_compliance.msa",
    "spc__leo_edax_test.spc",
]
SAME_AS_THE_INCUMBENTS = [
    "emi-ser__Titan_TEM_3_eds_spectrum_image_dataZeroed.emi",
    "emi-ser__Titan_TEM_5_eds_spectrum_dataZeroed.emi",
    "tif-orion__orion-zeiss_dataZeroed.tif",
    "tif-tescan__tescan-pfib_dataZeroed.tif",
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_there_and_back(corpus, tmp_path, entry):
    source = corpus.file(entry)
    before = source.read_bytes()
    once = sanitise(source, tmp_path / "once")
    assert source.read_bytes() == before
    copy = once.written[0]
    twice = sanitise(copy, tmp_path / "twice")
    for one, two in zip(once.written, twice.written, strict=True):
        assert two.name == one.name
        assert two.read_bytes() == one.read_bytes()
    (archive,) = sanitise(source, tmp_path, archive=True).written
    assert archive.stat().st_size < len(before)


@pytest.mark.parametrize("entry", SAME_AS_THE_INCUMBENTS)
def test_what_the_incumbent_sanitised_stays_as_it_is(corpus, tmp_path, entry):
    source = corpus.file(entry)
    for copy in sanitise(source, tmp_path).written:
        assert copy.read_bytes() == (source.parent / copy.name).read_bytes()


def test_thumbnails_that_the_incumbent_left_in_are_all_that_changes(corpus, tmp_path):
    source = corpus.file("dm3__Titan_opmode_diffraction_dataZeroed.dm3")
    (copy,) = sanitise(source, tmp_path).written
    before, after = source.read_bytes(), copy.read_bytes()
    thumbnail = read_tags(source)["ImageList"]["TagGroup0"]["ImageData"]["Data"]
    assert isinstance(thumbnail, ArrayRef)
    end = thumbnail.offset + thumbnail.size
    assert before[thumbnail.offset : end].strip(b"\0")
    assert after == before[: thumbnail.offset] + bytes(thumbnail.size) + before[end:]


def test_an_operator_is_written_over(corpus, tmp_path):
    source = corpus.file("tif-fei__quanta_image.tif")
    operator = extraction_of(source)["signals"][0]["metadata"]["operator"]
    done = sanitise(source, tmp_path, scrub_fields=["operator"])
    assert done.scrubbed["operator"] > 0
    assert operator.encode() not in done.written[0].read_bytes()
    (signal,) = extraction_of(done.written[0])["signals"]
    assert signal["metadata"]["operator"] == "x" * len(operator)
