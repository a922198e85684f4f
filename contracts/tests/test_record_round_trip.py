"""What the writer writes, the reader reads, and both schemas accept."""

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from nexuslims_contracts.record import CHEMICAL_ELEMENTS, DATASET_ROLES, schema_bytes
from nexuslims_contracts.record.model import (
    Activity,
    Cell,
    Column,
    Dataset,
    Experiment,
    ImageEntry,
    Notes,
    Parameter,
    Project,
    Sample,
    Table,
    TableEntry,
    TextEntry,
)
from nexuslims_contracts.record.reader import read_record
from nexuslims_contracts.record.texts import as_path, as_uri, recordable, surely_plain
from nexuslims_contracts.record.writer import record_lines, write_record

SCHEMA = etree.XMLSchema(etree.fromstring(schema_bytes()))

anything = st.text(max_size=12) | st.sampled_from(
    ["a & b <c>", "]]>", '"quoted"', "a\tb\nc\rd", "\x00\x1b", " ", "NaN", "-inf", "1e999", "%41 %"]
)
texts = anything.map(lambda text: recordable(text.strip()).strip())
named = texts.filter(bool)
many = st.lists(named, max_size=2).map(tuple)
urls = st.just("") | texts.map(lambda text: as_uri(text) if text else "")
paths = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1
).map(lambda parts: "/".join(parts).strip("/") or "x")
times = st.just("") | st.datetimes(timezones=st.just(UTC)).map(lambda time: time.isoformat())


def some(strategy):
    return st.lists(strategy, max_size=2).map(tuple)


parameters = some(st.builds(Parameter, texts, texts, texts, st.booleans()))
tables = st.builds(
    Table,
    texts,
    some(st.builds(Column, texts, texts)),
    some(some(st.builds(Cell, texts, texts))),
)
full = {"min_size": 1, "max_size": 2}
entries = (
    st.builds(TextEntry, st.lists(named, **full).map(tuple))
    | st.builds(ImageEntry, st.lists(urls.filter(bool), **full).map(tuple))
    | st.builds(TableEntry, st.lists(tables, **full).map(tuple))
)
notes = some(st.builds(Notes, some(entries), texts))
symbols = st.sets(st.sampled_from(CHEMICAL_ELEMENTS), max_size=4).map(
    lambda found: tuple(symbol for symbol in CHEMICAL_ELEMENTS if symbol in found)
)
datasets = st.builds(
    Dataset,
    named,
    paths,
    type=st.sampled_from(["", "Image", "Notes"]),
    role=st.sampled_from(["", *DATASET_ROLES]),
    format=texts,
    descriptions=many,
    previews=some(paths),
    parameters=parameters,
)
activities = st.builds(
    Activity, start=times, sample=texts, setup=parameters, notes=notes, datasets=some(datasets)
)
experiments = st.builds(
    Experiment,
    **dict.fromkeys(("title", "id", "pid", "instrument", "instrument_pid", "motivation"), texts),
    **dict.fromkeys(("url", "instrument_ref"), urls),
    **dict.fromkeys(("start", "end"), times),
    **dict.fromkeys(("experimenters", "collaborators"), many),
    samples=some(st.builds(Sample, texts, texts, texts, many, notes, symbols)),
    projects=some(st.builds(Project, texts, urls, texts, texts, texts)),
    activities=some(activities),
    notes=notes,
)
slow_to_draw = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100
)


near_numbers = st.text("0123456789\u0661eE+-._ naifty", max_size=12)


@given(st.lists(anything | near_numbers | st.integers(0, 200).map(lambda n: "9" * n + "e99")))
@example(["1e309"])
@example(["9" * 310])
@example(["9" * 250 + "e99"])
@example(["1E1_0_0_0"])
def test_texts_that_are_surely_plain_stay_as_they_are(texts):
    if surely_plain(texts):
        assert [recordable(text) for text in texts] == texts
        assert not set("".join(texts)) & set("&<>")


def test_ordinary_texts_are_surely_plain():
    assert surely_plain(["-1.5e-05", "300", "TEM Imaging", "2018-11-13T16:00:00Z", "25 °C", ""])


@pytest.mark.parametrize("special", ["NaN", "a & b", "\x00", "1e400"])
@pytest.mark.parametrize("place", [0, 7, 19])
def test_one_special_value_among_many_is_written_as_if_it_were_alone(special, place):
    values = [f"value {number}" for number in range(20)]
    values[place] = special

    def written(parameters):
        activity = Activity(setup=tuple(parameters))
        return write_record(Experiment(activities=(activity,))).decode().splitlines()

    each = [Parameter(f"p{number}", value) for number, value in enumerate(values)]
    together = [line for line in written(each) if "<param" in line]
    assert together == [line for one in each for line in written([one]) if "<param" in line]


@slow_to_draw
@given(experiments)
def test_what_is_written_is_read(experiment):
    assert read_record(write_record(experiment)) == experiment


@slow_to_draw
@given(experiments)
def test_what_is_written_is_valid_and_has_the_bytes_of_a_well_kept_library(experiment):
    content = write_record(experiment)
    root = etree.fromstring(content, etree.XMLParser(remove_blank_text=True))
    SCHEMA.assertValid(root)
    assert (
        etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True) == content
    )


@given(st.builds(Experiment, title=anything, motivation=anything, url=anything, pid=anything))
def test_any_text_is_written_so_that_it_stays_what_it_became(experiment):
    there = read_record(write_record(experiment))
    assert read_record(write_record(there)) == there


def test_pieces_are_lines():
    experiment = Experiment(activities=(Activity(datasets=(Dataset("a", "a"),)), Activity()))
    pieces = list(record_lines(experiment))
    assert len(pieces) > 10
    assert all(piece.endswith("\n") for piece in pieces[:1] + pieces[-1:])
    assert "".join(pieces).encode() == write_record(experiment)


def test_a_judgement_is_written_back_where_it_was_read():
    xml = write_record(Experiment(activities=(Activity(datasets=(Dataset("a", "a"),)),)))
    judged = xml.replace(
        b"</location>",
        b"</location><curation><rating>4</rating><featured>true</featured></curation>",
    )
    experiment = read_record(judged)
    (dataset,) = experiment.datasets()
    assert (dataset.curation.rating, dataset.curation.featured) == (4, True)
    assert b"<curation><rating>4</rating><featured>true</featured></curation>" in write_record(
        experiment
    )
    assert read_record(write_record(experiment)) == experiment
    assert SCHEMA.validate(etree.fromstring(write_record(experiment)))
    doubtful = next(read_record(judged.replace(b">4<", b">four<")).datasets())
    assert doubtful.curation == replace(dataset.curation, rating=None)


@given(anything)
def test_an_address_made_of_a_text_stays_one(text):
    assert as_uri(as_uri(text)) == as_uri(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://nemo.example.org/a b?c=d&e=%41", "https://nemo.example.org/a%20b?c=d&e=%41"),
        ("https://nemo.example.org/100%", "https://nemo.example.org/100%25"),
        ("http://[::1]:8000/usage/1/", "http://[::1]:8000/usage/1/"),
        ("https://host:port/", "https%3A//host%3Aport/"),
        ("event 204", "event%20204"),
    ],
)
def test_a_web_address_stays_one_and_other_texts_are_quoted(text, address):
    assert as_uri(text) == address


def test_paths_are_quoted_once_from_the_root():
    assert as_path("Titan/a b#%1.dm3") == "/Titan/a%20b%23%251.dm3"
    assert as_path("caf\udce9") == "/caf%E9"


@pytest.mark.parametrize(
    "ref", ["javascript:alert(1)", " JaVa\tScript :alert(1)", "data:text/html,x"]
)
def test_no_reference_of_a_sample_runs_code(ref):
    written = write_record(Experiment(samples=(Sample(id="s", ref=ref),)))
    assert b":alert" not in written
    assert b"data:" not in written
    kept = Experiment(samples=(Sample(id="s", ref="https://hdl.example.org/1:2"),))
    assert b'ref="https://hdl.example.org/1:2"' in write_record(kept)
