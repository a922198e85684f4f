"""What may be in the repository, and what may not."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
LOCKS = sorted((CHECKOUT / "requirements").glob("*.txt"))
MEMBERS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"][
    "members"
]
INDEXES = ("py", "pi"), ("python", "hosted"), ("deb.", "debian")  # apart: this file is searched too
INDEX_HOSTS = re.compile("|".join(rf"{''.join(parts)}\.org" for parts in INDEXES))
HOMES = re.compile(r"(?<![\w.~}-])/(?:work|root|home|Users)/")
MAX_LINES = 400


def tracked():
    """Files that git knows, or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    paths = (CHECKOUT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


@pytest.fixture(scope="module")
def texts():
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            found[path.relative_to(CHECKOUT).as_posix()] = content.decode("utf-8")
    return found


def test_no_package_index_is_named(texts):
    """Any mirror may serve the locks."""
    assert [name for name, text in texts.items() if INDEX_HOSTS.search(text)] == []


def test_no_path_of_somebodys_machine(texts):
    own = Path(__file__).name
    named = {name: HOMES.findall(text) for name, text in texts.items() if not name.endswith(own)}
    assert {name: found for name, found in named.items() if found} == {}


def test_the_lock_of_uv_is_not_kept(texts):
    """It names index hosts; the locks under requirements/ do not."""
    assert "uv.lock" not in texts
    assert "uv.lock" in (CHECKOUT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locks_are_names_versions_and_hashes(path):
    text = path.read_text()
    assert "://" not in text
    assert "--index" not in text
    requirements = re.sub(r"\\\n", "", text).splitlines()
    assert len(requirements) > 10
    for line in requirements:
        assert re.match(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,]+\])?==\S+ ", line), line
        assert "--hash=sha256:" in line, line


def test_one_lock_for_each_service_and_one_for_development():
    services = {Path(member).name for member in MEMBERS if member.startswith("services/")}
    assert {path.stem for path in LOCKS} == {*services, "dev"}


def test_members_are_listed_one_by_one():
    folders = [path.parent for path in CHECKOUT.glob("services/*/pyproject.toml")]
    folders += [path.parent for path in CHECKOUT.glob("[!.]*/pyproject.toml")]
    assert sorted(MEMBERS) == sorted(path.relative_to(CHECKOUT).as_posix() for path in folders)


def test_members_carry_the_licence():
    for member in MEMBERS:
        project = tomllib.loads((CHECKOUT / member / "pyproject.toml").read_text())["project"]
        assert project["license"] == "Apache-2.0"
    assert "END OF TERMS AND CONDITIONS" in (CHECKOUT / "LICENSE").read_text()


def test_files_are_of_a_size_to_read(texts):
    long = {
        name: text.count("\n")
        for name, text in texts.items()
        if name.endswith(".py") and text.count("\n") > MAX_LINES * 1.1
    }
    assert long == {}


def test_links_between_documents_lead_somewhere(texts):
    for name, text in texts.items():
        if not name.endswith(".md"):
            continue
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
            assert ((CHECKOUT / name).parent / target).exists(), f"{name}: {target}"


def test_every_change_is_one_sentence_named_by_its_topic():
    kinds = tomllib.loads((CHECKOUT / "towncrier.toml").read_text())["tool"]["towncrier"]["type"]
    kind = "|".join(each["directory"] for each in kinds)
    for path in (CHECKOUT / "docs" / "changes").glob("*.md"):
        assert re.fullmatch(rf"[a-z][a-z0-9-]*\.({kind})\.md", path.name), path.name
        text = path.read_text().strip()
        assert "\n" not in text, path.name
        assert re.search(r"\.`?$", text), path.name
        assert len(text.split()) <= 60, path.name


def test_the_glossary_is_in_alphabetical_order():
    text = (CHECKOUT / "docs" / "glossary.md").read_text()
    for section in text.split("\n## ")[1:]:
        terms = re.findall(r"^- \*\*(.+?)\*\*", section, re.MULTILINE)
        assert len(terms) > 20
        assert terms == sorted(terms, key=str.casefold)
