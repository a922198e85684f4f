"""What questions to the archive find: forty of them, on every kind of database."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexuslims_console.archive import search as search_module
from nexuslims_console.archive.question import QuestionError, read_question
from nexuslims_console.archive.rows import DatasetRow, RecordRow, dataset_id
from nexuslims_console.archive.search import Archive
from nexuslims_console.archive.tables import ArchiveDatabase
from nexuslims_console.archive.writing import put_session

DAY = datetime(2026, 3, 2, 12, tzinfo=UTC)

_RECORDS = {
    # session: title, instrument, elements
    "s1": ("Gold nanoparticles on carbon", "Titan", "Au C"),
    "s2": ("Élan vital: nickel superalloy", "Titan", "Ni Al"),
    "s3": ("Indium arsenide wires", "Quanta", "As In"),
    "s4": ("Steel fracture, au naturel", "Quanta", "Fe"),
}
_DATASETS = {
    # name: session, kind, technique, quantities
    "a": ("s1", "Image", "STEM_Imaging", {"acceleration_voltage": 300, "dwell_time": 2}),
    "b": ("s1", "Image", "STEM_Imaging", {"acceleration_voltage": 300, "dwell_time": 10}),
    "c": ("s1", "Spectrum", "STEM_EELS", {"acceleration_voltage": 200, "slit_width": 10}),
    "d": ("s2", "Image", "TEM_Imaging", {"acceleration_voltage": 80, "magnification": 50_000}),
    "e": ("s2", "Diffraction", "TEM_Diffraction", {"camera_length": 730, "stage_alpha": -12.5}),
    "f": ("s3", "Image", "SEM_Imaging", {"acceleration_voltage": 15, "working_distance": 4.2}),
    "g": ("s3", "Image", "SEM_Imaging", {"pixel_width": 1.5, "beam_current": 98}),
    "h": ("s3", "Spectrum", "SEM_EDS", {"live_time": 60, "channel_size": 10, "spot_size": 3}),
    "i": ("s4", "Image", "SEM_Imaging", {"horizontal_field_width": 250, "stage_tilt": 36}),
    "j": ("s4", "Image", "SEM_Imaging", {"chamber_pressure": 1.2e-4, "temperature": 90}),
}

QUESTIONS = [
    ("Au, above 200 kV, dwell under 5 µs", "a"),
    ("Au above 200 kV dwell under 5 us", "a"),
    ("Au, at least 200 kV", "abc"),
    ("above 0.2 MV", "ab"),
    ("200000 V", "c"),
    ("kV over 100", "abc"),
    ("HT below 100 kV", "df"),
    ("between 10 and 100 kV", "df"),
    ("10-100 kV", "df"),
    ("voltage from 75 to 85 kV", "d"),
    ("acceleration voltage = 15000 V", "f"),
    ("about 301 kV", "ab"),
    ("dwell time 0.01 ms", "b"),
    ("pixel dwell time ≤ 2000 ns", "a"),
    ("dwell under 2 us", ""),
    ("mag 50 kx", "d"),
    ("magnification above 1e4", "d"),
    ("50000 x", "d"),
    ("camera length under 1 m", "e"),
    ("camera length 73 cm", "e"),
    ("tilt below -10°", "e"),
    ("stage tilt between 30 and 40 degree", "i"),
    ("tilt over 30 deg", "i"),
    ("WD 4-5 mm", "f"),
    ("working distance less than 4.5 mm", "f"),
    ("pixel size below 20 Å", "g"),
    ("beam current 0.1 nA", ""),
    ("beam current 90 pA to 0.1 nA", "g"),
    ("live time at least 1 min", "h"),
    ("channel size 10 eV", "h"),
    ("spot size 3", "h"),
    ("field width over 0,2 mm", "i"),
    ("pressure under 1 mPa", "j"),
    ("temperature below 100 K", "j"),
    ("slit width up to 10 eV, EELS", "c"),
    ("gold nanoparticles", "abc"),
    ("elan VITAL", "de"),
    ("nickel above 50 kV", "d"),
    ("element:In", "fgh"),
    ("In, spectrum", "h"),
    ("element:Au", "abc"),
    ("au naturel", "ij"),
    ("nano 300 kV", "ab"),
    ("Al superalloy diffraction", "e"),
    ("type:Spectrum", "ch"),
    ("technique:SEM_Imaging instrument:Quanta", "fgij"),
    ("instrument:Titan, above 250 kV", "ab"),
    ("from:2026-03-04 until:2026-03-04", "fgh"),
    ("until:2026-03-02 dwell 10 µs", "b"),
    ("np_a", "a"),
    ("steel x fracture 12", ""),
    ("", "abcdefghij"),
]


@pytest.fixture(scope="module")
def database(empty_database: Callable[[], str]) -> Iterator[ArchiveDatabase]:
    made = ArchiveDatabase(empty_database())
    made.prepare()
    with made.writing() as (connection, tables):
        for session in _RECORDS:
            put_session(connection, tables, session, content(session))
    yield made
    made.close()


def content(session: str) -> tuple[RecordRow, list[DatasetRow]]:
    title, instrument, elements = _RECORDS[session]
    day = DAY + timedelta(days=int(session[1]) - 1)
    record = RecordRow(
        session=session, title=title, start=day, end=day, instrument_pid=instrument,
        instrument=instrument, samples="", elements=elements, path=f"{session}.xml",
        sha256="0" * 64, size=1, activities=1, datasets=1,
    )  # fmt: skip
    rows = [
        DatasetRow(
            id=dataset_id(day, "0" * 20, 0), session=session, file="0" * 20, number=0,
            location=f"{instrument}/np_{name}.tif", name=name, preview="", taken=day,
            dataset_type=kind, data_type=technique, shape="", elements=elements,
            text=f"{title} np_{name} {kind} {technique}", instrument_pid=instrument,
            quantities={field: float(value) for field, value in quantities.items()},
        )
        for name, (of, kind, technique, quantities) in _DATASETS.items()
        if of == session
    ]  # fmt: skip
    return record, rows


def found(database: ArchiveDatabase, question: str) -> str:
    return "".join(
        sorted(hit.name for hit in Archive(database).search(read_question(question)).hits)
    )


@pytest.mark.parametrize(("question", "names"), QUESTIONS, ids=[one for one, _ in QUESTIONS])
@pytest.mark.parametrize("few", [20_000, 0], ids=["by index", "from the newest on"])
def test_a_question_finds_what_it_asks_for(
    database: ArchiveDatabase,
    question: str,
    names: str,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_module, "_FEW", few)
    assert found(database, question) == names


def test_a_question_is_told_as_it_was_understood() -> None:
    question = read_question("Au, above 0.2 MV, dwell under 5000 ns, spot size 3")
    assert question.understood == (
        "“Au”",
        "acceleration voltage > 200 kV",
        "pixel dwell time < 5 µs",
        "spot size 2.97 to 3.03",
    )


@pytest.mark.parametrize(
    "question",
    ["above 5 lx", "between 3 and 4 mol", "from:yesterday", "until:9999-12-31", "x" * 501],
)
def test_what_cannot_be_meant_is_refused(question: str) -> None:
    with pytest.raises(QuestionError):
        read_question(question)


_ODD_WORDS = (
    "Au", "gold", "above", "1e400", "5", "-3", ".", ",", "µm", "kV", "between", "and", "2 x 10^-3",
    "10", "-", "(", ")", '"', "'", "*", ":", "from:", "until:9999-12-31", "element:Xx", "°", "%",
    "mag", "spot size", "dwell", "K", "to", "1/nm", "\x00", "ﬁ", "İ", "٣",
)  # fmt: skip


@given(st.lists(st.sampled_from(_ODD_WORDS) | st.text(max_size=5), max_size=12).map(" ".join))
def test_any_text_is_a_question_or_refused(database: ArchiveDatabase, text: str) -> None:
    try:
        question = read_question(text)
    except QuestionError:
        return
    assert len(Archive(database).search(question).hits) <= 10


def test_pages_and_facets_cover_all_matches(database: ArchiveDatabase) -> None:
    archive = Archive(database)
    first = archive.search(read_question(""), limit=4)
    second = archive.search(read_question(""), before=first.next_id, limit=4)
    third = archive.search(read_question(""), before=second.next_id, limit=4)
    names = [hit.name for page in (first, second, third) for hit in page.hits]
    assert sorted(names) == list("abcdefghij")
    assert [hit.session for hit in first.hits[:2]] == ["s4", "s4"]
    assert third.next_id is None
    assert first.count == second.count == 10
    assert dict(first.facets.instruments) == {"Titan": 5, "Quanta": 5}
    assert dict(first.facets.elements)["Au"] == 3


def test_a_session_is_replaced_and_taken_out(database: ArchiveDatabase) -> None:
    record, rows = content("s4")
    with database.writing() as (connection, tables):
        put_session(connection, tables, "s4", (record, [replace(rows[0], text="renamed")]))
    assert found(database, "renamed") == "i"
    assert found(database, "fracture") == ""
    with database.writing() as (connection, tables):
        put_session(connection, tables, "s4", None)
    assert found(database, "renamed") == ""
    assert Archive(database).record("s4") is None
    with database.writing() as (connection, tables):
        put_session(connection, tables, "s4", content("s4"))
    assert found(database, "fracture") == "ij"
