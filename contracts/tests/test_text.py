import json

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nexuslims_contracts.text import clean_text, counted, printable, terminal_json, terminal_text


def test_line_ends_of_every_system_become_line_feeds():
    assert clean_text("a\r\nb\rc\u2028d\u2029e\nf") == "a\nb\nc\nd\ne\nf"


def test_what_xml_cannot_hold_is_removed():
    assert clean_text("a\x00b\x1b[0m\x85\ud800\uffffc\td") == "ab[0mc\td"


@given(st.text(st.characters(codec=None)))
def test_xml_holds_every_clean_text_as_it_is(text):
    clean = clean_text(text)
    element = etree.Element("text")
    element.text = clean
    assert etree.fromstring(etree.tostring(element)).text == (clean or None)
    assert clean_text(clean) == clean


@given(st.text(st.characters(codec=None)))
def test_names_are_printed_on_one_line(name):
    assert printable(name).isprintable()


def test_a_name_that_is_no_unicode_shows_its_bytes():
    assert printable(b"ma\xdf.tif".decode("utf-8", "surrogateescape")) == "ma\\xdf.tif"


@given(st.text(st.characters(codec=None)))
def test_a_terminal_gets_nothing_that_it_would_obey(text):
    printable = terminal_text(text)
    assert all(one.isprintable() or one in "\n\t" or one.isspace() for one in printable)
    assert terminal_text(printable) == printable


def test_escapes_and_directions_are_shown():
    hostile = "\x1b]0;owned\x07 \x9b31m \u202egnp.exe \x7f"
    assert terminal_text(hostile) == r"\x1b]0;owned\x07 \x9b31m \u202egnp.exe \x7f"
    assert terminal_text("300\xa0kV\n\tGröße") == "300\xa0kV\n\tGröße"


@given(st.text(st.characters(codec=None)))
def test_json_for_a_terminal_says_the_same(text):
    document = terminal_json(json.dumps({"text": text}, indent=1, ensure_ascii=False))
    assert json.loads(document) == {"text": text}
    assert document == terminal_text(document)


def test_one_is_singular_and_everything_else_is_not():
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert counted(1, "session waits", "sessions wait") == "1 session waits"
    assert counted(11, "session waits", "sessions wait") == "11 sessions wait"
