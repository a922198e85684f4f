"""Every file of the corpus that can be sanitised: is it, twice to the same bytes, and how fast."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.corpus import Corpus, require_corpus

from benchmarks.report import Bar, Report
from nexuslims_formats.errors import ExtractorError
from nexuslims_sanitiser.job import sanitise

FORMATS = {
    "blo", "delmic", "dm3", "dm4", "dm5", "emd-ncem", "emd-prismatic", "emd-velox", "emi-ser",
    "hspy", "mrc", "msa", "nxs", "spc", "tif-axiovision", "tif-fei", "tif-gatan", "tif-imagej",
    "tif-jeol", "tif-orion", "tif-tescan", "tif-zeiss-sem", "tofwerk", "topspin",
}  # fmt: skip
KNOWN_DAMAGE = {
    "dm3__test_corrupted.dm3": "ends within its tags",
    "tif-fei__quanta_just_modded_mdata.tif": "is no TIFF",
}


def outcomes(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """Yield the id of each entry, and what went wrong with it."""
    for entry, form in corpus.formats().items():
        if form in FORMATS:
            with tempfile.TemporaryDirectory() as text:
                yield entry, trouble(corpus.unpack(entry, Path(text) / "in"), Path(text))


def trouble(source: Path, folder: Path) -> str:
    """Return what goes wrong when a file is sanitised, and its copy once more."""
    before = source.read_bytes()
    try:
        once = sanitise(source, folder / "once").written
        twice = sanitise(once[0], folder / "twice").written
        (archive,) = sanitise(source, folder, archive=True).written
    except (ExtractorError, OSError) as error:
        return str(error)
    if source.read_bytes() != before:
        return "the original was changed"
    if [path.read_bytes() for path in once] != [path.read_bytes() for path in twice]:
        return "the copy of the copy differs"
    return "" if archive.stat().st_size < len(before) else "the archive is larger"


def main() -> None:
    """Run the benchmark."""
    report = Report("sanitise")
    started = time.process_time()
    files, wrong = 0, 0
    for entry, reason in outcomes(require_corpus()):
        files += 1
        wrong += bool(reason) and entry not in KNOWN_DAMAGE
        if reason:
            print(f"{entry}: {reason}")
    report.figures["files"] = files
    report.figures["cpu_s"] = time.process_time() - started
    report.bars["wrong"] = Bar(wrong, 0)
    report.finish()


if __name__ == "__main__":
    main()
