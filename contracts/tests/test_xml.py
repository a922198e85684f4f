"""XML from elsewhere reads no file, expands nothing, and says where it is broken."""

import subprocess
import sys

import pytest

from nexuslims_contracts.errors import MalformedXmlError
from nexuslims_contracts.xml import parse_xml


def test_entities_are_not_resolved(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    root = parse_xml(
        f'<!DOCTYPE x [<!ENTITY s SYSTEM "{secret.as_uri()}"><!ENTITY e "expanded">]>'
        "<x><a>&s;</a><b>&e;</b></x>".encode()
    )
    assert "".join(map(str, root.itertext())) == "&s;&e;"


@pytest.mark.parametrize(
    ("content", "line"), [(b"", 1), (b"<a>\n<b>\n</a>", 3), (b"\x89PNG", 1), (b"<a/><b/>", 1)]
)
def test_what_is_not_well_formed_names_its_line(content, line):
    with pytest.raises(MalformedXmlError, match=rf"\(line {line}\)$") as caught:
        parse_xml(content)
    assert caught.value.line == line


def test_the_limits_of_the_parser_hold_unless_they_are_lifted():
    deep = b"<a>" * 300 + b"</a>" * 300
    with pytest.raises(MalformedXmlError):
        parse_xml(deep)
    assert parse_xml(deep, huge_tree=True).tag == "a"


def test_importing_it_does_not_import_lxml():
    code = "import nexuslims_contracts.xml, sys; sys.exit('lxml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
