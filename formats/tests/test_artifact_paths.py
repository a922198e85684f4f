"""Where artifacts of a file go, however long its name and those of its folders are."""

from hypothesis import example, given
from hypothesis import strategies as st

from nexuslims_contracts.paths import readable
from nexuslims_formats.json_tree import artifact_paths

LATIN = b"\xe9"  # no UTF-8: written readably it takes four bytes
names = st.binary(min_size=1, max_size=255).map(lambda raw: raw.replace(b"/", b"_"))


@given(st.lists(names, min_size=1, max_size=14), st.integers(1, 300))
@example([LATIN * 255, LATIN * 251 + b".msa"], 1)
@example([b"a" * 255] * 14, 1)
def test_no_name_is_too_long_nor_the_whole_path(raw: list[bytes], signals: int) -> None:
    path = readable("Titan/" + "/".join(name.decode("utf-8", "surrogateescape") for name in raw))
    places = [place for pair in artifact_paths(path, signals) for place in pair]
    assert len(set(places)) == 2 * signals
    for place in places:
        assert len(place.encode()) <= 3072
        assert all(len(name.encode()) <= 255 for name in place.split("/"))


def test_shortened_folders_are_kept_apart() -> None:
    one, other = ("/".join(["Titan", "a" * 300, end, "x.dm3"]) for end in ("b", "c"))
    assert artifact_paths(one, 1) != artifact_paths(other, 1)
    long = [f"Titan/{'/'.join(['a' * 200] * 12)}/{end}/x.dm3" for end in ("b", "c")]
    assert artifact_paths(long[0], 1) != artifact_paths(long[1], 1)
    assert artifact_paths("Titan/a/x.dm3", 1) == [("Titan/a/x.dm3.json", "Titan/a/x.dm3.thumb.png")]
