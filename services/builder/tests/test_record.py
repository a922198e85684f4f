"""The record: structure, escaping, determinism, validity."""

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from nexuslims_builder.assemble import assemble, file_name
from nexuslims_builder.inputs import FileInput, RecordInput
from nexuslims_builder.signals import PROVENANCE, SignalReader, separate, text_of
from nexuslims_builder.validation import validate
from nexuslims_contracts.datasets import Axis, CuratedDataset
from nexuslims_contracts.events import Sample
from nexuslims_contracts.metadata import FIELDS
from nexuslims_contracts.record.model import Parameter
from nexuslims_contracts.record.writer import write_record

NEXUS = {"n": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}


def xml_of(record: RecordInput, **options: object) -> bytes:
    return write_record(assemble(record, **options))


def texts(content: bytes, path: str) -> list[str | None]:
    return [node.text for node in etree.fromstring(content).iterfind(path, NEXUS)]


def test_the_record_is_valid_and_says_what_it_was_given(make_record) -> None:
    content = xml_of(make_record())
    assert validate(content) == []
    root = etree.fromstring(content)
    assert [etree.QName(child).localname for child in root] == [
        "title", "id", "summary", "sample", "sample", "project",
        "acquisitionActivity", "acquisitionActivity", "notes",
    ]  # fmt: skip
    assert texts(content, "n:title") == ["EDX of platinum & nickel <test>"]
    assert texts(content, "n:summary/n:experimenter") == ["Ned Land (ned)"]
    assert texts(content, "n:summary/n:reservationStart") == ["2018-11-13T09:00:00-07:00"]
    assert root.find("n:summary", NEXUS).get("ref").endswith("/204/?a=1&b=2")
    assert root.find("n:summary/n:instrument", NEXUS).get("pid") == "FEI-Titan-TEM"
    assert [etree.QName(e).localname for e in root.find("n:sample/n:elements", NEXUS)] == [
        "Ni",
        "Pt",
    ]
    assert texts(content, "n:sample/n:description") == ["Not in the periodic table: Xx"]
    assert len(root.findall("n:acquisitionActivity", NEXUS)) == 2
    assert len(root.findall(".//n:dataset", NEXUS)) == 6


def test_activities_have_their_times_samples_and_setup(make_record) -> None:
    root = etree.fromstring(xml_of(make_record()))
    first, second = root.findall("n:acquisitionActivity", NEXUS)
    assert first.get("seqno") == "0"
    assert first.findtext("n:startTime", namespaces=NEXUS) == "2018-11-13T09:00:00-07:00"
    assert second.findtext("n:sampleID", namespaces=NEXUS) == "s-1"
    setup = {param.get("name"): param for param in first.findall("n:setup/n:param", NEXUS)}
    assert setup["Acceleration Voltage"].text == "300"
    assert setup["Acceleration Voltage"].get("unit") == "kV"
    meta = {node.get("name") for node in first.findall("n:dataset/n:meta", NEXUS)}
    assert "Acceleration Voltage" not in meta
    assert "Creation Time" in meta
    operator = {p.get("name"): p for p in second.findall("n:setup/n:param", NEXUS)}["Operator"]
    assert operator.get("warning") == "true"


def test_paths_are_quoted_once_and_previews_named(make_record) -> None:
    content = xml_of(make_record())
    assert texts(content, ".//n:location")[0] == "/Titan/a%200.dm3"
    assert texts(content, ".//n:preview")[0] == "/Titan/a%200.dm3.thumb.png"


def test_what_people_described_is_in_the_record_and_ratings_are_not(make_record) -> None:
    """Servers with the older schema refuse ratings; the others keep their own."""
    record = make_record()
    before = assemble(record)
    first = next(before.datasets())
    described = CuratedDataset(
        location=first.location, name=first.name, descriptions=("Gold <1>",), rating=5
    )
    gone = CuratedDataset(location="gone", name="gone", descriptions=("lost",))
    content = xml_of(replace(record, additions=(described, gone)))
    assert validate(content) == []
    assert texts(content, ".//n:dataset/n:description")[0] == "Gold <1>"
    assert b"curation" not in content
    assert b"lost" not in content
    assert xml_of(replace(record, additions=(gone,))) == xml_of(record)


def test_signals_of_one_file_are_numbered(make_record, make_file) -> None:
    content = xml_of(make_record(make_file("T/si.dm4", 1.5e9, signals=2)))
    assert texts(content, ".//n:dataset/n:name") == ["si.dm4 (1 of 2)", "si.dm4 (2 of 2)"]
    assert validate(content) == []


def test_a_file_that_could_not_be_read_is_in_the_record_with_the_reason(
    make_record, make_file
) -> None:
    broken = replace(make_file("T/broken.dm3", 1.5e9 + 5), signals=(), failure="SIGSEGV")
    content = xml_of(make_record(make_file("T/good.dm3", 1.5e9), broken))
    assert validate(content) == []
    dataset = etree.fromstring(content).findall(".//n:dataset", NEXUS)[1]
    assert dataset.get("type") == "Unknown"
    assert "SIGSEGV" in (dataset.findtext("n:description", namespaces=NEXUS) or "")


def test_the_same_input_gives_the_same_bytes_in_any_order_of_files(make_record) -> None:
    record = make_record()
    again = make_record(*reversed(record.files))
    assert xml_of(record) == xml_of(again)


@given(text=st.text(max_size=60))
@settings(deadline=None, max_examples=150)
def test_any_text_anywhere_gives_a_valid_record(make_record, make_file, text: str) -> None:
    file = make_file("T/x.dm3", 1.5e9, operator=text)
    record = make_record(
        file,
        title=text,
        event_id=text,
        motivation=text,
        experimenters=(text,),
        url=text,
        samples=(Sample(id=text, name=text, ref=text, description=text),),
    )
    content = xml_of(record)
    assert validate(content) == []


@pytest.mark.parametrize(
    ("url", "ref"),
    [
        ("https://nemo.example.org/a b?c=d&e=%41", "https://nemo.example.org/a%20b?c=d&e=%41"),
        ("https://nemo.example.org/100%", "https://nemo.example.org/100%25"),
        ("http://[::1]:8000/usage/1/", "http://[::1]:8000/usage/1/"),
        ("https://host:port/", "https%3A//host%3Aport/"),
        ("event 204", "event%20204"),
    ],
)
def test_the_event_page_is_an_address_that_can_stand_in_a_record(
    make_record, url: str, ref: str
) -> None:
    content = xml_of(make_record(url=url))
    assert etree.fromstring(content).find("n:summary", NEXUS).get("ref") == ref
    assert validate(content) == []


@given(rest=st.text(max_size=40))
@settings(deadline=None, max_examples=150)
def test_any_web_address_gives_a_valid_record(make_record, make_file, rest: str) -> None:
    file = make_file("T/x.dm3", 1.5e9)
    assert validate(xml_of(make_record(file, url=f"https://{rest}"))) == []
    assert validate(xml_of(make_record(file, url=f"https://host/{rest}"))) == []


@pytest.mark.parametrize("text", ["NaN", " inf ", "-Infinity", "1e400"])
def test_no_value_reads_as_a_number_that_is_not_finite(make_record, make_file, text: str) -> None:
    file = make_file("T/x.dm3", 1.5e9, operator=text, **{text: "5 nan"})
    root = etree.fromstring(xml_of(make_record(file, title=text)))
    assert root.findtext("n:title", namespaces=NEXUS) == f"[{text.strip()}]"
    meta = {node.get("name"): node.text for node in root.iterfind(".//n:meta", NEXUS)}
    assert meta["Operator"] == f"[{text.strip()}]"
    assert "5 nan" in meta.values()
    for node in root.iter():
        for held in (node.text or "", *node.attrib.values()):
            assert held.strip().lower().strip("-") not in ("nan", "inf", "infinity", "1e400")


def skeleton(node: etree._Element) -> tuple[object, ...]:
    """Names and attributes of what describes a session, without parameters."""
    left_out = {"param", "meta"}
    children = [child for child in node if etree.QName(child).localname not in left_out]
    return (node.tag, sorted(node.attrib), [skeleton(child) for child in children])


@pytest.mark.corpus
def test_the_structure_is_the_incumbents(make_record, make_file, corpus) -> None:
    theirs = etree.parse(corpus.record("incumbent_record_20181113.xml")).getroot()
    files = []
    for activity in theirs.iterfind("n:acquisitionActivity", NEXUS):
        start = datetime.fromisoformat(activity.findtext("n:startTime", namespaces=NEXUS))
        for number, dataset in enumerate(activity.iterfind("n:dataset", NEXUS)):
            path = unquote(dataset.findtext("n:location", namespaces=NEXUS)).lstrip("/")
            files.append(make_file(path, start.timestamp() + 61 * number + number**2))
    samples = (
        Sample(id="s-1", name="The sample", description="For testing", elements=("Pt", "Ni")),
        Sample(id="s-2", ref="abc"),
    )
    ours = etree.fromstring(xml_of(make_record(*files, samples=samples), method="gaps"))
    ours.remove(ours.find("n:notes", NEXUS))  # the incumbent does not say what it left out
    elements = "n:sample/n:elements"  # in the order of the periodic table, in ours
    theirs.find(elements, NEXUS)[:] = reversed(theirs.find(elements, NEXUS))
    assert skeleton(ours) == skeleton(theirs)
    assert ours.nsmap == theirs.nsmap
    for path in ("n:startTime", "n:dataset/n:name", "n:dataset/n:location", "n:dataset/n:preview"):
        where = f"n:acquisitionActivity/{path}"
        assert [one.text for one in ours.iterfind(where, NEXUS)] == [
            one.text for one in theirs.iterfind(where, NEXUS)
        ]
    setup = [one.get("name") for one in ours.find("n:acquisitionActivity/n:setup", NEXUS)]
    fields = [field.display_name for field in FIELDS.values()]
    by_subject = [name for name in fields if name in setup]
    rest = sorted({*setup} - {*fields}, key=str.casefold)
    assert setup == by_subject + rest, "theirs are by name: ours by what they are about"


@pytest.mark.corpus
def test_what_we_call_valid_is_valid_under_the_official_schema(make_record, corpus) -> None:
    official = etree.XMLSchema(etree.parse(corpus.record("official-nexus-experiment.xsd")))
    official.assertValid(etree.fromstring(xml_of(make_record())))


def test_names_of_records(make_record) -> None:
    assert file_name(make_record()) == "2018-11-13_FEI-Titan-TEM_204.xml"
    strange = file_name(make_record(event_id="../x y"))
    assert "/" not in strange
    assert strange != file_name(make_record(event_id=".._x_y"))


def test_one_dataset_has_no_setup_and_several_share_what_is_equal_in_all() -> None:
    a, b, c = Parameter("A", "1"), Parameter("b", "2"), Parameter("C", "3")
    assert separate([[a, b]]) == ((), [(a, b)])
    assert separate([[a, b, c], [a, b, Parameter("C", "4")], [b, c]]) == (
        (b,),
        [(a, c), (a, Parameter("C", "4")), (c,)],
    )


def test_parameters_come_by_what_they_are_about_and_others_by_name(make_file) -> None:
    metadata = {
        "stage_x": {"value": 210.0, "unit": "um"},
        "stage_tilt": {"value": -0.0, "unit": "degree"},
        "detector_type": "ETD",
    }
    (signal,) = make_file("T/x.dm3", 1.5e9, **metadata).signals
    assert [(one.name, one.value, one.unit) for one in signal.parameters[1:-2]] == [
        ("Data Type", "TEM_Imaging", ""),
        ("Data Dimensions", "(32, 64)", ""),
        ("Acceleration Voltage", "300", "kV"),
        ("Magnification", "1002", ""),
        ("Stage X", "210", "µm"),
        ("Stage Tilt", "0", "°"),
        ("Detector", "ETD", ""),
    ]
    assert [one.name for one in signal.parameters[-2:]] == [
        "NexusLIMS Extraction – Module",  # noqa: RUF001 - the incumbent's dash
        "NexusLIMS Extraction – Version",  # noqa: RUF001
    ]


def test_the_vendors_trees_are_in_the_record_only_if_that_is_set(make_reading) -> None:
    event = make_reading(
        extensions={
            "gatan_binning": {"horizontal": 1, "vertical": 2},
            "gatan_microscope_info_actual_magnification": 17677.0,
            "fei_beam_hfw": {"value": 1.5, "unit": "um"},
            "session_log": "by hand",
        }
    )
    trees = ["Gatan Binning – Horizontal", "Gatan Binning – Vertical"]  # noqa: RUF001
    all_tags = ["FEI Beam HFW", *trees, "Gatan Microscope Info Actual Magnification", "Session Log"]
    for reader, expected in (
        (SignalReader(), ["Actual Magnification", "FEI Beam HFW", "Session Log"]),
        (SignalReader(vendor_trees=True), all_tags),
    ):
        assert list(of_extensions(reader.read(event))) == expected


def of_extensions(signals) -> dict[str, tuple[str, str]]:
    """Values and units of what has no core field, by name."""
    (signal,) = signals
    core = {field.display_name for field in FIELDS.values()}
    return {
        one.name: (one.value, one.unit)
        for one in signal.parameters
        if one.name not in core and not one.name.startswith(PROVENANCE)
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tecnai_filter_prism_shift", "-0.00[eV]", ("Tecnai Filter Prism Shift", "0", "eV")),
        ("tecnai_filter_dispersion", "0.10[eV/Channel]", ("Tecnai Filter Dispersion", "0.1", "eV")),
        ("tecnai_c1_aperture", "2000 um", ("Tecnai C1 Aperture", "2000", "µm")),
        ("tecnai_sa_aperture", "retracted", ("Tecnai Sa Aperture", "retracted", "")),
        ("tecnai_image_shift_x_um", -0.235, ("Tecnai Image Shift X", "-0.235", "µm")),
        ("tecnai_c2_lens_percent", 44.5, ("Tecnai C2 Lens", "44.5", "%")),
        ("lot", "12 boxes", ("Lot", "12 boxes", "")),
        ("um", 3, ("um", "3", "")),
        ("in_um", True, ("In um", "True", "")),
        ("gatan_microscope_info_stem_camera_length", 135.0, ("STEM Camera Length", "135", "")),
    ],
)
def test_units_stand_apart_from_names_and_values(make_reading, name, value, expected) -> None:
    listed = of_extensions(SignalReader().read(make_reading(extensions={name: value})))
    assert [(name, *rest) for name, rest in listed.items()] == [expected]


def test_nothing_is_said_twice_in_a_record(make_reading) -> None:
    event = make_reading(
        metadata={
            "objective_aperture": {"value": 30.0, "unit": "um"},
            "detector_type": "UltraScan",
            "acquisition_device": "UltraScan",
            "operator": "DO NOT EDIT",
        },
        extensions={
            "tecnai_obj_aperture": "30 um",
            "tecnai_sa_aperture": "10 um",
            "tia_series": "x_1.ser",
            "gatan_microscope_info_stem_camera_length": 0.0,
            "creation_time_source": "DataBar (local time, zone of FEI-Titan-TEM)",
        },
    )
    (signal,) = SignalReader().read(event)
    names = {one.name for one in signal.parameters}
    assert names >= {"Objective Aperture", "Acquisition Device", "Tecnai Sa Aperture"}
    assert not names & {"Tecnai Obj Aperture", "Detector", "Operator", "TIA Series"}
    assert not names & {"STEM Camera Length", "Creation Time Source"}
    (whole,) = SignalReader(vendor_trees=True).read(event)
    assert {"Tecnai Obj Aperture", "Detector", "Operator"} <= {one.name for one in whole.parameters}


@pytest.mark.parametrize("source", ["file modification time", "Date (local time, no zone told)"])
def test_the_source_of_a_time_is_told_where_the_file_does_not_state_it(make_reading, source):
    event = make_reading(extensions={"creation_time_source": source})
    assert of_extensions(SignalReader().read(event)) == {"Creation Time Source": (source, "")}


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ([], "(3, 2, 4)"),
        ([("y", 4, False), ("x", 2, False), ("channel", 3, False)], "(2, 4)"),
        ([("y", 4, True), ("x", 2, True), ("energy", 3, False)], "(2, 4, 3)"),
        ([("energy", 4, False), ("y", 2, True), ("x", 3, True)], "(3, 2, 4)"),
        ([("channel", 4, False)], "(4)"),
    ],
)
def test_dimensions_are_written_columns_first(make_reading, axes, text: str) -> None:
    axes = tuple(Axis(name=name, size=size, navigate=moved) for name, size, moved in axes)
    shape = tuple(axis.size for axis in axes) or (4, 2, 3)
    event = make_reading(shape=shape, axes=axes, metadata={"data_dimensions": "(4, 2)"})
    (signal,) = SignalReader().read(event)
    assert [one.value for one in signal.parameters if one.name == "Data Dimensions"] == [text]


@pytest.mark.parametrize(
    ("days", "source", "remarked"),
    [
        (-2, "DataBar", True),
        (400, "DataBar", True),
        (0.5, "DataBar", False),
        (400, "file modification time", False),
    ],
)
def test_a_time_far_from_the_session_is_remarked(
    make_record, make_reading, days: float, source: str, remarked: bool
) -> None:
    record = make_record()
    event = make_reading(
        creation_time=record.end + timedelta(days=days),
        extensions={"creation_time_source": source},
    )
    signals = SignalReader().read(event)
    file = FileInput(token=event.file, path="f", mtime=1.5e9, signals=signals)
    (dataset,) = assemble(replace(record, files=(file,))).datasets()
    assert any("not near that of the session" in one for one in dataset.descriptions) == remarked


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (300.0, "300"),
        (9.765625e-10, "9.765625e-10"),
        (0.1, "0.1"),
        (-0.0, "0"),
        (6.51946381578947e-05, "6.5194638e-05"),
        (1234567890.0, "1234567890"),
        ("a" * 201, f"{'a' * 199}…"),
        (True, "True"),
        ([1, 2.5], "1, 2.5"),
    ],
)
def test_values_are_written_plainly(value: object, text: str) -> None:
    assert text_of(value) == text


def remarks(record: RecordInput) -> list[str]:
    (notes,) = assemble(record).notes
    assert notes.source == "NexusLIMS"
    return list(notes.paragraphs)


def test_the_record_says_what_it_was_made_of(make_record) -> None:
    (made,) = remarks(make_record())
    assert made == f"Made by NexusLIMS of the events of file-204 up to 17, SHA-256 {'d' * 64}"


def test_the_record_says_what_could_not_be_read(make_record, make_file) -> None:
    files = [make_file(f"T/{number}.dm3", 1.5e9 + number) for number in range(30)]
    broken = [replace(one, signals=(), failure="SIGSEGV") for one in files[:25]]
    part = replace(files[25], failure="the second signal is cut short")
    away = replace(files[26], away=True)
    record = make_record(*broken, part, away, *files[27:])
    first, second, third, _ = remarks(record)
    assert first.startswith("25 of 30 files could not be read: 0.dm3, 1.dm3, ")
    assert first.endswith("19.dm3 and 5 more")
    assert second == "1 of 30 files could be read in part: 25.dm3"
    assert third == "1 of 30 files were missing when their folder was looked at last: 26.dm3"
    assert validate(xml_of(record)) == []
