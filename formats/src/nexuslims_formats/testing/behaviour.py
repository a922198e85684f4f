"""What every extractor must do, as tests to inherit."""

import json
import random
from pathlib import Path
from typing import get_args

from nexuslims_contracts.datasets import Dataset, DatasetType
from nexuslims_contracts.metadata import FIELDS
from nexuslims_formats.datasets import to_dataset
from nexuslims_formats.json_tree import to_json_bytes
from nexuslims_formats.model import ParsedFile
from nexuslims_formats.registry import HEAD_BYTES, Extractor

_CUTS = 40
_NOISY = 40


class ExtractorBehaviour:
    """What an extractor must do with a file that it reads, and with what only looks like one.

    A subclass gives two fixtures: ``extractor``, and ``sample``, the path of a whole file that the
    extractor reads, in a folder of its own.
    """

    def test_it_states_who_it_is(self, extractor: Extractor) -> None:
        """Events keep name and version; file names are compared with the endings."""
        assert isinstance(extractor, Extractor)
        assert extractor.name.strip() == extractor.name != ""
        assert str(extractor.version)
        assert isinstance(extractor.priority, int)
        for ending in extractor.extensions:
            assert ending == ending.lower().lstrip(".")

    def test_it_supports_the_sample(self, extractor: Extractor, sample: Path) -> None:
        """By its first bytes, or by its name."""
        assert extractor.supports(sample, _head(sample)) is True

    def test_datasets_have_a_shape_axes_and_core_fields(
        self, extractor: Extractor, sample: Path
    ) -> None:
        """Axes belong to the array, core fields are known, and all of them validate."""
        parsed = extractor.open(sample)
        assert parsed.signals
        assert parsed.reader == parsed.reader.strip()
        for signal in parsed.signals:
            assert signal.dataset_type in get_args(DatasetType)
            assert tuple(axis.size for axis in signal.axes) in (signal.shape, ())
            assert set(signal.metadata) <= set(FIELDS)
            assert bool(signal.shape) == bool(signal.dtype)
        for dataset in _datasets(parsed, sample):
            assert dataset.warnings == tuple(name for name in dataset.warnings if name in FIELDS)

    def test_vendors_metadata_become_json(self, extractor: Extractor, sample: Path) -> None:
        """The artifact holds all of them."""
        parsed = extractor.open(sample)
        assert json.loads(to_json_bytes(parsed.native)) is not None
        for signal in parsed.signals:
            assert json.loads(to_json_bytes(signal.extensions)) is not None

    def test_the_same_file_gives_the_same(self, extractor: Extractor, sample: Path) -> None:
        """No wall clock and no chance is in it."""
        first, second = (extractor.open(sample) for _ in range(2))
        assert to_json_bytes(first.native) == to_json_bytes(second.native)
        assert _datasets(first, sample) == _datasets(second, sample)

    def test_pixels_are_shaped_as_the_header_says(self, extractor: Extractor, sample: Path) -> None:
        """A preview opens them; of a long stack some pages may stand for all."""
        for signal in extractor.open(sample).signals:
            if signal.pixels is None:
                continue
            array = signal.pixels()
            assert array.ndim in (len(signal.shape), len(signal.shape) - 1)

    def test_the_file_is_only_read(self, extractor: Extractor, sample: Path) -> None:
        """Nothing is written beside it either."""
        before = {path: path.read_bytes() for path in sample.parent.iterdir()}
        extractor.open(sample)
        assert {path: path.read_bytes() for path in sample.parent.iterdir()} == before

    def test_a_file_that_was_cut_is_an_error_or_validates(
        self, extractor: Extractor, sample: Path
    ) -> None:
        """What a header claims and the file does not hold must not get further than this."""
        whole = sample.read_bytes()
        for cut in sorted({len(whole) * step // _CUTS for step in range(_CUTS)}):
            _try(extractor, sample, whole[:cut])

    def test_noise_in_a_file_is_an_error_or_validates(
        self, extractor: Extractor, sample: Path
    ) -> None:
        """Bytes that turned over, anywhere in it."""
        whole = sample.read_bytes()
        chance = random.Random(len(whole))  # noqa: S311 - the same noise every time
        for _ in range(_NOISY if whole else 0):
            noisy = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                noisy[chance.randrange(len(noisy))] = chance.randrange(256)
            _try(extractor, sample, bytes(noisy))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _datasets(parsed: ParsedFile, path: Path) -> list[Dataset]:
    return [
        to_dataset(signal, index, instrument=None, mtime=0.0, file=path.name)[0]
        for index, signal in enumerate(parsed.signals)
    ]


def _try(extractor: Extractor, path: Path, content: bytes) -> None:
    """Open a file of these bytes: an exception is a reason, but datasets must validate."""
    path.write_bytes(content)
    try:
        if not extractor.supports(path, content[:HEAD_BYTES]):
            return
        parsed = extractor.open(path)
    except Exception:  # noqa: BLE001 - the port allows any: each becomes a reason
        return
    assert isinstance(parsed, ParsedFile)
    _datasets(parsed, path)
