"""Records valid under our schema are valid under the one that archives hold."""

from datetime import UTC

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nexuslims_contracts import record
from nexuslims_contracts.metadata.fields import EVERY
from nexuslims_contracts.xml import parse_xml

XSI = "http://www.w3.org/2001/XMLSchema-instance"
OFFICIAL = "official-nexus-experiment.xsd"
XS = "{http://www.w3.org/2001/XMLSchema}"


def parsed(path):
    return parse_xml(path.read_bytes()).getroottree()


@pytest.fixture(scope="module")
def ours():
    return etree.XMLSchema(etree.fromstring(record.schema_bytes()))


@pytest.fixture(scope="module")
def official(corpus):
    return etree.XMLSchema(parsed(corpus.record(OFFICIAL)))


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", ["example_record.xml", "example_record_large.xml", "incumbent_record_20181113.xml"]
)
def test_real_records_are_valid_under_both(ours, official, corpus, name):
    document = parsed(corpus.record(name))
    official.assertValid(document)
    ours.assertValid(document)


# --- generated records --------------------------------------------------------------------------

_char = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"])
texts = st.text(_char, max_size=8)
uris = st.sampled_from(["https://nemo.example.org/event_details/reservation/204/", "/a%20b.dm3"])
times = st.datetimes(timezones=st.just(UTC)).map(lambda when: when.isoformat())
numbers = st.integers(0, 99).map(str)


def element(tag, *children, text=None, **attributes):
    """Strategy of an element; each child is a strategy of a list of elements."""

    def build(parts):
        kids, words, values = parts
        found = etree.Element(f"{{{record.NAMESPACE}}}{tag}")
        found.text = words
        for key, value in values.items():
            found.set(f"{{{XSI}}}type" if key == "xsi_type" else key, value)
        found.extend(kid for group in kids for kid in group)
        return found

    optional = st.fixed_dictionaries({}, optional=attributes)
    if "xsi_type" in attributes:
        optional = st.fixed_dictionaries(attributes)
    return st.tuples(st.tuples(*children), st.none() if text is None else text, optional).map(build)


def maybe(strategy):
    return st.lists(strategy, max_size=1)


def one(strategy):
    return st.lists(strategy, min_size=1, max_size=1)


def some(strategy):
    return st.lists(strategy, max_size=2)


def many(strategy):
    return st.lists(strategy, min_size=1, max_size=2)


parameter = {"text": texts, "name": texts, "unit": texts, "warning": st.sampled_from(["true", "0"])}
table = element(
    "table",
    maybe(element("title", text=texts)),
    one(element("header", some(element("column", text=texts, id=texts)))),
    one(element("rows", some(element(
        "row", some(element("cell", text=texts, colid=texts)), seqno=numbers)))),
)  # fmt: skip
entry = st.one_of(
    element("entry", many(element("p", text=texts)), xsi_type=st.just("nx:TextEntry")),
    element("entry", many(element("imageURL", text=uris)), xsi_type=st.just("nx:ImageEntry")),
    element("entry", many(table), xsi_type=st.just("nx:TableEntry")),
)
notes = some(element("notes", some(entry), source=texts))
symbols = st.lists(st.sampled_from(record.CHEMICAL_ELEMENTS), unique=True, max_size=4)
sample = element(
    "sample",
    maybe(element("name", text=texts)),
    some(element("description", text=texts)),
    notes,
    maybe(element("elements", symbols.map(lambda found: [
        etree.Element(f"{{{record.NAMESPACE}}}{symbol}") for symbol in found]))),
    id=texts, ref=texts,
)  # fmt: skip
project = element(
    "project",
    *(maybe(element(tag, text=texts)) for tag in ("name", "division", "group", "project_id")),
    maybe(element("ref", text=uris)),
)
dataset = element(
    "dataset",
    one(element("name", text=texts)),
    one(element("location", text=texts)),
    maybe(element("format", text=texts)),
    some(element("description", text=texts)),
    some(element("preview", text=texts)),
    some(element("meta", **parameter)),
    maybe(element("curation", maybe(element("rating", text=numbers)),
                  maybe(element("featured", text=st.just("true"))))),
    type=st.sampled_from([*EVERY, "Notes"]), role=st.sampled_from(record.DATASET_ROLES),
)  # fmt: skip
activity = element(
    "acquisitionActivity",
    maybe(element("startTime", text=times)),
    maybe(element("sampleID", text=texts)),
    maybe(element("setup", some(element("param", **parameter)))),
    notes,
    some(dataset),
    seqno=numbers,
)
summary = element(
    "summary",
    some(element("experimenter", text=texts)),
    some(element("collaborator", text=texts)),
    some(element("instrument", text=texts, pid=texts, ref=uris)),
    maybe(element("reservationStart", text=times)),
    maybe(element("reservationEnd", text=times)),
    maybe(element("motivation", text=texts)),
    ref=uris,
)
CHILDREN = (
    maybe(element("title", text=texts)),
    maybe(element("id", text=texts)),
    one(summary),
    some(sample),
    some(project),
    some(activity),
    notes,
)


def experiment(groups):
    root = etree.Element(record.ROOT, nsmap={None: record.NAMESPACE, "nx": record.NAMESPACE})
    root.extend(child for group in groups for child in group)
    return root


records = st.tuples(*CHILDREN).map(experiment)
slow_to_draw = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)


@slow_to_draw
@given(records)
def test_generated_records_are_valid_under_ours(ours, root):
    ours.assertValid(root)


@pytest.mark.corpus
@slow_to_draw
@given(records, st.data())
def test_what_is_valid_under_ours_is_valid_under_the_official_schema(ours, official, root, data):
    everywhere = list(root.iter())
    victim = data.draw(st.sampled_from(everywhere))
    change = data.draw(st.sampled_from(["none", "drop", "double", "move", "empty", "retype"]))
    parent = victim.getparent()
    if change == "drop" and parent is not None:
        parent.remove(victim)
    elif change == "double" and parent is not None:
        parent.append(etree.fromstring(etree.tostring(victim)))
    elif change == "move":
        victim.append(etree.fromstring(etree.tostring(data.draw(st.sampled_from(everywhere)))))
    elif change == "empty":
        victim.text = None
    elif change == "retype":
        victim.set("type", data.draw(st.sampled_from(["Image", "Movie"])))
    # attributes of xsi:type need their prefix declared where a copy stands: parse what is written
    document = etree.fromstring(etree.tostring(root))
    if ours.validate(document):
        official.assertValid(document)


# --- the schema itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("", "summary"),
        ("<summary/><title/>", "title"),
        ("<summary><reservationStart>2018-11-13 10:00</reservationStart></summary>", "dateTime"),
        ("<summary/><acquisitionActivity><dataset type='Movie'/></acquisitionActivity>", "Movie"),
        ("<summary/><acquisitionActivity><dataset/></acquisitionActivity>", "name"),
        ("<summary/><sample><elements><Xx/></elements></sample>", "Xx"),
        ("<summary/><sample><elements><H>1</H></elements></sample>", "empty"),
        ("<summary/><notes><entry/></notes>", "abstract"),
        ("<summary xmlns=''/>", "summary"),
    ],
)
def test_broken_records_are_refused(ours, broken, complaint):
    text = f"<Experiment xmlns='{record.NAMESPACE}'>{broken}</Experiment>"
    assert not ours.validate(etree.fromstring(text))
    assert complaint in str(ours.error_log)


def test_constants_say_what_the_schema_says():
    root = etree.fromstring(record.schema_bytes())
    assert root.get("targetNamespace") == record.NAMESPACE

    def names(kind, tag, key):
        return [found.get(key) for found in root.find(f"*[@name='{kind}']").iter(XS + tag)]

    assert tuple(names("ChemicalElements", "element", "name")) == record.CHEMICAL_ELEMENTS
    assert tuple(names("DatasetRole", "enumeration", "value")) == record.DATASET_ROLES
    assert set(names("DatasetType", "enumeration", "value")) == {*EVERY, "Notes"}
    assert len(record.CHEMICAL_ELEMENTS) == 118


def test_everything_in_the_schema_is_documented():
    root = etree.fromstring(record.schema_bytes())
    symbols_of = root.find("*[@name='ChemicalElements']")
    for tag in ("element", "attribute", "complexType", "simpleType", "enumeration"):
        for declared in root.iter(XS + tag):
            if symbols_of in declared.iterancestors():
                continue
            text = declared.findtext(f"{XS}annotation/{XS}documentation")
            assert text, etree.tostring(declared)


@pytest.mark.corpus
def test_documentation_is_our_own(corpus):
    theirs = {
        " ".join("".join(found.itertext()).split()).rstrip(".").lower()
        for found in parsed(corpus.record(OFFICIAL)).iter(XS + "documentation")
    }
    mine = {
        " ".join(found.text.split()).rstrip(".").lower()
        for found in etree.fromstring(record.schema_bytes()).iter(XS + "documentation")
    }
    assert not mine & theirs
