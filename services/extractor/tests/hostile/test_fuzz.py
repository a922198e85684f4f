"""Damaged files of every kind that our own parsers read, and noise under every name.

Damage is drawn by hypothesis, the same in every run; what wilder runs found is in
``test_found.py``.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexuslims_formats.registry import installed


def same_every_time(examples):
    """Return the settings of a test that draws the same examples in every run."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


EXTENSIONS = sorted({name for plugin in installed() for name in plugin.extensions} | {"", "xyz"})
MAGIC = (
    b"", b"\0\0\0\3", b"\0\0\0\4", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"II\x97\x01",
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF89a", b"AAMVHFSS", b"PK\3\4", b"[User]",
    b"#FORMAT", b"<",
)  # fmt: skip
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1,
            (1 << 64) - 1)  # fmt: skip
OURS = (
    "gatan.dm3", "gatan.dm4", "images.ser", "spectra.ser", "alone.emi", "text.tif", "fei.tif",
    "fei_big.tif", "fei_motorola.tif", "fei_lzw.tif", "fei_tem.tif", "orion.tif", "fibics.tif",
    "zeiss.tif", "tescan.tif",
)  # fmt: skip


@st.composite
def damage(draw):
    """Return a function that damages bytes in one to four places."""
    place = st.floats(0, 1, exclude_max=True)
    number = st.builds(
        lambda value, width, order: (value & ((1 << 8 * width) - 1)).to_bytes(width, order),
        st.sampled_from(EXTREMES),
        st.sampled_from((1, 2, 4, 8)),
        st.sampled_from(("little", "big")),
    )
    wound = st.tuples(
        st.sampled_from(("overwrite", "insert", "delete", "cut")),
        place,
        number | st.binary(min_size=1, max_size=4),
    )
    wounds = draw(st.lists(wound, min_size=1, max_size=4))

    def apply(whole):
        hurt = bytearray(whole)
        for kind, where, data in wounds:
            at = int(where * len(hurt))
            end = {"overwrite": at + len(data), "insert": at, "delete": at + len(data)}
            hurt[at : end.get(kind, len(hurt))] = data if kind in ("overwrite", "insert") else b""
        return bytes(hurt)

    return apply


@same_every_time(60)
@pytest.mark.parametrize("name", OURS)
@given(hurt=damage())
def test_damage_is_reported_or_survived(judged, whole, tmp_path, name, hurt):
    path = tmp_path / name
    path.write_bytes(hurt(whole[name]))
    judged(path, ours=True)


@pytest.mark.parametrize("name", OURS)
def test_what_the_damage_is_done_to_is_whole(judged, whole, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(whole[name])
    done = judged(path)
    assert done.datasets
    assert done.outcome == ("partial" if name in ("alone.emi", "text.tif") else "extracted")


@same_every_time(12)
@pytest.mark.parametrize("suffix", EXTENSIONS)
@given(magic=st.sampled_from(MAGIC), noise=st.binary(min_size=1, max_size=600))
def test_noise_under_every_name_has_an_outcome(judged, tmp_path, suffix, magic, noise):
    path = tmp_path / f"noise.{suffix.upper()}"
    path.write_bytes(magic + noise)
    done = judged(path, artifacts_root=tmp_path / "data", previews=True)
    if done.extractor.name == "fallback":
        known = suffix not in ("", "xyz")
        assert done.outcome == "unsupported"
        words = "the content is of no kind that is known"
        assert (words in (done.reason or "")) == known
