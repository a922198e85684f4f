"""Extractors written for NexusLIMS 2.x by its documentation run as they are."""

import sys

import pytest

from nexuslims_formats.errors import ExtractorError, UnreadableFileError
from nexuslims_formats.incumbent import IncumbentExtractor
from nexuslims_formats.registry import Extractor

THEIRS = """
from __future__ import annotations
import logging
from typing import TYPE_CHECKING, ClassVar
from nexusLIMS.extractors.base import ExtractionContext
from nexusLIMS.extractors.utils import add_to_extensions
from nexusLIMS.instruments import get_instr_from_filepath
from nexusLIMS.schemas.units import ureg
if TYPE_CHECKING:
    from pathlib import Path


class ZebraExtractor:
    name = "zebra_extractor"
    priority = 120
    supported_extensions: ClassVar = {"zbr"}

    def supports(self, context: ExtractionContext) -> bool:
        return context.file_path.suffix.lower() == ".zbr"

    def extract(self, context):
        assert get_instr_from_filepath(context.file_path) is None
        found = []
        for voltage in context.file_path.read_text().split():
            meta = {
                "Creation Time": "2026-03-04T05:06:07+01:00",
                "Data Type": "SEM_Imaging",
                "DatasetType": "Image",
                "Data Dimensions": "(40, 30)",
                "Acceleration Voltage": ureg.Quantity(float(voltage), "kilovolt"),
                "Operator": "ned",
                "warnings": [["Operator"]],
            }
            add_to_extensions(meta, "Chamber", "B")
            found.append({"nx_meta": meta, "raw": {"HV": voltage}})
        return found
"""


@pytest.fixture
def make(tmp_path):
    def extractor(text=THEIRS):
        path = tmp_path / "theirs.py"
        path.write_text(text)
        return type("Ours", (IncumbentExtractor,), {"file": path})()

    return extractor


def test_it_is_an_extractor_of_ours(make):
    extractor = make()
    assert isinstance(extractor, Extractor)
    assert (extractor.name, extractor.priority) == ("zebra_extractor", 120)
    assert extractor.extensions == ("zbr",)
    assert extractor.version == make().version
    assert extractor.version != make(THEIRS + "# changed").version


def test_what_it_finds_is_ours(make, tmp_path):
    path = tmp_path / "a.zbr"
    path.write_text("15 30")
    extractor = make()
    assert extractor.supports(path, b"")
    assert not extractor.supports(tmp_path / "a.tif", b"")
    parsed = extractor.open(path)
    first, second = parsed.signals
    assert parsed.native == {"raw": {"HV": "15"}}
    assert (first.dataset_type, first.data_type) == ("Image", "SEM_Imaging")
    assert first.shape == (40, 30)
    assert first.metadata == {"acceleration_voltage": (15.0, "kV"), "operator": "ned"}
    assert second.metadata["acceleration_voltage"] == (30.0, "kV")
    assert first.extensions == {"chamber": "B"}
    assert first.warnings == ("operator",)
    assert first.acquired.when.isoformat() == "2026-03-04T05:06:07+01:00"


def test_the_interface_is_there_only_while_it_is_loaded(make):
    make()
    assert [name for name in sys.modules if name.split(".")[0] == "nexusLIMS"] == []


def test_a_time_that_is_none_is_said(make, tmp_path):
    path = tmp_path / "a.zbr"
    path.write_text("15")
    extractor = make(THEIRS.replace("2026-03-04T05:06:07+01:00", "yesterday"))
    (signal,) = extractor.open(path).signals
    assert signal.acquired.when is None
    assert "yesterday" in signal.acquired.problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from nexusLIMS.utils.paths import find", "beyond its documented interface"),
        ("x = 1", "has 0 extractors"),
        (THEIRS + "class Second(ZebraExtractor):\n    pass\n", "has 2 extractors"),
    ],
)
def test_what_cannot_be_used_is_named(make, text, words):
    with pytest.raises(ExtractorError, match=words):
        make(text)


@pytest.mark.parametrize("result", ["[]", "None", "{'other': 1}"])
def test_a_file_without_metadata_is_unreadable(make, tmp_path, result):
    extractor = make(THEIRS.replace("return found", f"return {result}"))
    path = tmp_path / "a.zbr"
    path.write_text("15")
    with pytest.raises(UnreadableFileError, match="found no metadata"):
        extractor.open(path)


def test_an_unknown_dataset_type_is_named(make, tmp_path):
    path = tmp_path / "a.zbr"
    path.write_text("15")
    with pytest.raises(UnreadableFileError, match="no DatasetType 'Film'"):
        make(THEIRS.replace('"Image"', '"Film"')).open(path)
