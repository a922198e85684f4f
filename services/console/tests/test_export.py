"""Sessions to take home: what is in the file, that it is signed, that nothing is replaced."""

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nexuslims_console.actions import export as work
from nexuslims_console.actions.export import write_export
from nexuslims_console.errors import ExportError
from nexuslims_console.export.crate import Exported, describe
from nexuslims_console.export.orcids import read_orcids
from nexuslims_console.export.settings import ExportSettings
from nexuslims_console.export.signing import KEY_FILE, SigningKey
from nexuslims_console.views import SessionRow
from nexuslims_contracts.record.model import (
    Activity,
    Dataset,
    Experiment,
    Parameter,
    Sample,
)
from nexuslims_contracts.record.writer import write_record
from nexuslims_shared.settings import Settings

NAME = "2026-03-02_FEI-Titan-TEM_1"
RAW = "Titan/Müller 5/a file.dm3"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)

EXPERIMENT = Experiment(
    title="Gold, on carbon <b>",
    experimenters=("Ned Land (ned)", "Cher"),
    instrument="FEI Titan TEM",
    instrument_pid="FEI-Titan-TEM",
    start="2026-03-02T09:00:00+00:00",
    end="2026-03-02T11:00:00+00:00",
    motivation="Size & shape",
    samples=(Sample(id="s1", name="NP, 7", elements=("Au",)),),
    activities=(
        Activity(
            start="2026-03-02T09:05:00+00:00",
            setup=(Parameter("Acceleration Voltage", "300", "kV"), Parameter("Mode", "STEM")),
            datasets=(
                Dataset("first", RAW, "Image", previews=(f"{RAW}.thumb.png",)),
                Dataset("second", "Titan/Müller 5/a_file.dm3", "Image"),
            ),
        ),
    ),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A facility with the record of one session, two files and the preview of one of them."""
    files = {
        f"data/records/{NAME}.xml": write_record(EXPERIMENT),
        f"data/{RAW}.json": b'{"nx_meta": {}}',
        f"data/{RAW}.thumb.png": b"\x89PNG one",
        "data/Titan/Müller 5/a_file.dm3.json": b'{"nx_meta": {"index": 0}}',
        f"files/{RAW}": b"raw one",
        "files/Titan/Müller 5/a_file.dm3": b"raw two",
    }
    for path, content in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return Settings(
        instrument_data_path=tmp_path / "files",
        data_path=tmp_path / "data",
        state_path=tmp_path / "state",
    )


@pytest.fixture
def row() -> SessionRow:
    return SessionRow(
        session="file-1",
        instrument_pid="FEI-Titan-TEM",
        instrument="FEI Titan TEM",
        start=START,
        end=START.replace(hour=11),
        title="Gold",
        status="COMPLETED",
        phase="done",
        reason="",
        files=2,
        settled=2,
        failures=0,
        activities=1,
        datasets=2,
        record_path=f"{NAME}.xml",
        record_sha256="",
        uploads=(),
        built_at=9,
        through=9,
    )


@pytest.fixture
def export(settings: Settings, row: SessionRow, tmp_path: Path) -> Callable[..., Any]:
    def write(**options: Any) -> Any:
        target = tmp_path / f"{NAME}.eln"
        given = {"as_format": "eln", "with_raw": True, "update": lambda *_: None, **options}
        return write_export(settings, row, target, **given)

    return write


def crate(file: Path) -> dict[str, dict[str, Any]]:
    """Return the nodes of an export by their ids."""
    with zipfile.ZipFile(file) as archive:
        document = json.loads(archive.read(f"{NAME}/ro-crate-metadata.json"))
    nodes = document["@graph"]
    assert document["@context"] == "https://w3id.org/ro/crate/1.1/context"
    by_id = {node["@id"]: node for node in nodes}
    assert len(by_id) == len(nodes)
    return by_id


def test_an_eln_file_keeps_the_rules_of_the_consortium(
    export: Callable[..., Any], tmp_path: Path
) -> None:
    export()
    nodes = crate(tmp_path / f"{NAME}.eln")
    assert nodes["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert set(nodes["ro-crate-metadata.json"]) >= {"version", "sdPublisher", "conformsTo"}
    assert nodes["./"]["hasPart"] == [{"@id": "./file-1/"}]
    for node in nodes.values():
        assert isinstance(node["@type"], str)
        for value in node.values():
            parts = value if isinstance(value, list) else [value]
            references = [part["@id"] for part in parts if isinstance(part, dict)]
            assert all(
                one in nodes or one.startswith("https://w3id.org/ro/crate/") for one in references
            )
        for name in ("identifier", "keywords", "contentSize", "text", "name"):
            assert isinstance(node.get(name, ""), str)
    session = nodes["./file-1/"]
    assert session["name"] == "Gold, on carbon <b>"
    assert session["keywords"] == "FEI Titan TEM, NP  7, Au, Image"
    assert "Size &amp; shape" in session["text"]
    assert nodes[session["author"]["@id"]]["familyName"] == "Land"
    assert [nodes[one["@id"]]["name"] for one in session["contributor"]] == ["Cher"]
    voltage = nodes[session["variableMeasured"][0]["@id"]]
    assert (voltage["propertyID"], voltage["value"], voltage["unitText"]) == (
        "activity.0.Acceleration Voltage",
        "300",
        "kV",
    )


def test_people_and_the_facility_are_known_by_their_public_ids(
    export: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "orcids.toml"
    file.write_text('ned = "0000-0002-1825-0097"\nCher = "https://orcid.org/0000-0001-5109-3700"\n')
    monkeypatch.setenv("NX_FACILITY_ORCIDS", str(file))
    monkeypatch.setenv("NX_FACILITY_ROR", "https://ror.org/05xpvk416")
    export()
    nodes = crate(tmp_path / f"{NAME}.eln")
    session = nodes["./file-1/"]
    assert session["author"] == {"@id": "https://orcid.org/0000-0002-1825-0097"}
    assert session["contributor"] == [{"@id": "https://orcid.org/0000-0001-5109-3700"}]
    assert nodes[session["author"]["@id"]]["name"] == "Ned Land"
    assert nodes["./"]["publisher"] == {"@id": "https://ror.org/05xpvk416"}
    assert nodes["https://ror.org/05xpvk416"]["@type"] == "Organization"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('ned = "0000-0002-1825-0098"', "for 'ned', which is no ORCID iD"),
        ("ned = 5", "for 'ned', which is no ORCID iD"),
        ('ned = "ned@example.org"', "for 'ned', which is no ORCID iD"),
        ("ned", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_of_orcids_is_named(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "orcids.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ExportError, match=reason):
        read_orcids(file)


def test_two_names_of_one_person_are_one_node() -> None:
    orcid = "https://orcid.org/0000-0002-1825-0097"
    twice = replace(EXPERIMENT, experimenters=("Ned Land (ned)",), collaborators=("N. Land (nl)",))
    exported = Exported("file-1", twice, START, START, {"ned": orcid, "nl": orcid})
    graph = describe(exported, (), ExportSettings(), "1")["@graph"]
    assert [node["name"] for node in graph if node["@id"] == orcid] == ["Ned Land"]


def test_every_file_is_in_it_under_a_name_of_its_own(
    export: Callable[..., Any], tmp_path: Path
) -> None:
    content, _ = export()
    assert not content.missing
    nodes = crate(tmp_path / f"{NAME}.eln")
    parts = [one["@id"] for one in nodes["./file-1/"]["hasPart"]]
    with zipfile.ZipFile(tmp_path / f"{NAME}.eln") as archive:
        names = set(archive.namelist())
        assert {name.partition("/")[0] for name in names} == {NAME}
        for part in parts:
            stored = archive.read(f"{NAME}/{part.removeprefix('./')}")
            assert nodes[part]["contentSize"] == str(len(stored))
        raw = [part for part in parts if "/raw/" in part]
        assert [archive.read(f"{NAME}/{one.removeprefix('./')}") for one in raw] == [
            b"raw one",
            b"raw two",
        ]
    assert [nodes[one]["alternateName"] for one in raw] == [RAW, "Titan/Müller 5/a_file.dm3"]
    assert len(parts) == len({part.casefold() for part in parts}) == 6
    assert not [part for part in parts if " " in part]


def test_the_same_session_gives_the_same_bytes(export: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / f"{NAME}.eln"
    export()
    first = file.read_bytes()
    export()
    assert file.read_bytes() == first


def test_a_plain_zip_has_no_description(export: Callable[..., Any], tmp_path: Path) -> None:
    content, key = export(as_format="zip", with_raw=False)
    assert key is None
    assert {one.member.kind for one in content.written} == {"record", "metadata", "preview"}
    with zipfile.ZipFile(tmp_path / f"{NAME}.eln") as archive:
        assert len(archive.namelist()) == len(content.written)


def test_a_file_that_is_away_is_left_out_and_named(
    export: Callable[..., Any], settings: Settings, tmp_path: Path
) -> None:
    (settings.instrument_data_path / RAW).unlink()
    content, _ = export()
    assert len(content.missing) == 1
    assert RAW in content.missing[0]
    assert not [one for one in crate(tmp_path / f"{NAME}.eln") if one.endswith("a_file.dm3-2")]


@pytest.mark.parametrize("status", ["NO_CONSENT", "CANCELLED"])
def test_what_may_not_leave_stays(
    settings: Settings, row: SessionRow, tmp_path: Path, status: str
) -> None:
    withheld = SessionRow(
        **{name: getattr(row, name) for name in row.__slots__} | {"status": status}
    )
    target = tmp_path / "x.eln"
    with pytest.raises(ExportError, match=status):
        write_export(
            settings, withheld, target, as_format="eln", with_raw=False, update=lambda *_: None
        )
    assert not target.exists()


def test_a_record_that_is_gone_leaves_no_half_file(
    export: Callable[..., Any], settings: Settings, tmp_path: Path
) -> None:
    (settings.records / f"{NAME}.xml").unlink()
    with pytest.raises(ExportError, match="nexuslims rebuild --session file-1"):
        export()
    assert not list(tmp_path.glob("*.eln"))


def test_the_command_replaces_no_file(
    settings: Settings, row: SessionRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(*_: Any) -> SessionRow:
        return row

    monkeypatch.setattr(work, "read_settings", lambda: settings)
    monkeypatch.setattr(work, "_row", found)
    assert work.export_session(
        "file-1", as_format="eln", target=tmp_path, with_raw=False, as_json=False
    )
    file = tmp_path / f"{NAME}.eln"
    before = file.read_bytes()
    with pytest.raises(ExportError, match="--out"):
        work.export_session("file-1", as_format="eln", target=file, with_raw=True, as_json=False)
    assert file.read_bytes() == before


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    first = SigningKey.of_facility(tmp_path)
    assert SigningKey.of_facility(tmp_path) == first
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert first.seed.hex() not in repr(first)
    (tmp_path / KEY_FILE).write_text("something else")
    with pytest.raises(ExportError, match="no signing key"):
        SigningKey.of_facility(tmp_path)


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_minisign_takes_the_signature(tmp_path: Path) -> None:
    key = SigningKey.of_facility(tmp_path / "state")
    file = tmp_path / "crate.json"
    file.write_bytes(b"{}")
    (tmp_path / "crate.json.minisig").write_bytes(key.sign(b"{}", comment="file-1\nof us"))
    verify = ["minisign", "-Vm", str(file), "-P", key.public()]
    done = subprocess.run(verify, capture_output=True, text=True, check=True)
    assert "file-1 of us" in done.stdout
    file.write_bytes(b"{ }")
    assert subprocess.run(verify, capture_output=True, check=False).returncode != 0
