"""The pages: what they show, what they refuse, what they never show."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from services.console.tests.web import LOCATION, PREVIEW, Console

from nexuslims_console.web.in_time import Questions
from nexuslims_contracts.testing import SessionEvents
from nexuslims_shared.errors import BrokerUnavailableError
from nexuslims_shared.session.repository import SessionRepository

PAGES = (
    "/",
    "/sessions/a",
    "/sessions/a/events",
    "/sessions/a/files",
    "/archive",
    "/archive/a",
    "/operation",
    "/dead-letters",
    "/instruments",
)


@pytest.fixture
async def console(tmp_path: Path, history: Any) -> Console:
    made = Console(tmp_path)
    await made.session(history)
    return made


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_whole_and_runs_no_code_of_others(console: Console, page: str) -> None:
    answer = console.client().get(page)
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("</html>")
    assert "<b>on</b>" not in answer.text
    assert not re.search(r"<script(?! src=\"/static/)|\son\w+=|\sstyle=", answer.text)
    assert not re.search(r"(?:src|href)=\"https?://", answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"


def test_the_list_names_status_people_and_progress(console: Console) -> None:
    text = console.client().get("/").text
    for part in ("Completed", "FEI Titan TEM", "Ned Land (ned)", "/sessions/a", ">2</td>"):
        assert part in text


async def test_the_list_is_filtered_sorted_and_paged(console: Console, history: Any) -> None:
    others = [SessionEvents(f"b-{number:02}") for number in range(60)]
    await console.state(history, [one.started() for one in others])
    client = console.client()

    def listed(query: str) -> list[str]:
        return re.findall(r'href="/sessions/([\w-]+)"', client.get(f"/{query}").text)

    assert len(listed("")) == 50
    assert len(listed("?page=2")) == 11
    assert listed("?q=B-07") == ["b-07"]
    assert listed("?q=carbon") == ["a"]
    assert listed("?person=land") == ["a"]
    assert listed("?person=nobody") == []
    assert listed("?status=COMPLETED") == ["a"]
    assert listed("?trouble=1") == ["a"]
    assert listed("?sort=session&order=up")[:2] == ["a", "b-00"]
    assert listed("?sort=files")[0] == "a"
    assert listed("?from=2030-01-01") == [f"b-{number:02}" for number in range(59, 9, -1)]
    assert listed("?page=2")[-1] == "a"
    ascending = listed("?order=up") + listed("?order=up&page=2")
    assert ascending == (listed("") + listed("?page=2"))[::-1]
    assert listed("?sort=nonsense&page=99&from=never&instrument=") == listed("?page=2")


def test_a_session_says_what_an_unreadable_file_said(console: Console) -> None:
    text = console.client().get("/sessions/a").text
    assert "the header ends after 12 bytes" in text
    assert "The record has gaps" in text
    assert f"/sessions/a/artifacts/{PREVIEW}" in text
    assert "metadata.extracted" in text
    assert "<svg" in text


async def test_no_title_turns_the_text_behind_it_about(console: Console, history: Any) -> None:
    made = SessionEvents("b")
    await console.state(history, [made.started(), made.matched(title="\x1b[31m \u202edecnavda")])
    for page in ("/", "/sessions/b", "/sessions/b/events"):
        text = console.client().get(page).text
        assert "\\x1b[31m \\u202edecnavda" in text
        assert "\u202e" not in text
        assert "\x1b" not in text


async def test_a_session_says_why_it_has_no_record(console: Console, history: Any) -> None:
    made = SessionEvents("c")
    declined = made.declined(reason="the user said no")
    await console.state(history, [made.started(), made.ended(), declined])
    text = console.client().get("/sessions/c").text
    assert "No record: no consent" in text
    assert "the user said no" in text


def test_what_is_not_there_is_not_found(console: Console) -> None:
    client = console.client()
    for path in (
        "/sessions/nobody",
        "/archive/nobody",
        "/archive/a/record.exe",
        "/nonsense",
        "/sessions/a/artifacts/../../a.xml",
        "/sessions/a/artifacts/%2e%2e/read-model.db",
        "/sessions/a/artifacts/records/a.xml",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "</html>" in answer.text


def test_previews_and_downloads_are_what_was_written(console: Console) -> None:
    client = console.client()
    preview = client.get(f"/sessions/a/artifacts/{PREVIEW}")
    assert (preview.headers["content-type"], preview.content) == ("image/png", b"\x89PNG")
    xml = client.get("/archive/a/record.xml")
    assert xml.content == (console.facility.records / "a.xml").read_bytes()
    assert xml.headers["content-disposition"] == 'attachment; filename="a.xml"'
    document = json.loads(client.get("/archive/a/record.json").content)
    assert document["activities"][0]["datasets"][0]["location"] == LOCATION


def test_a_record_groups_its_parameters(console: Console) -> None:
    text = console.client().get("/archive/a").text
    assert re.search(r"<h3>Beam</h3>.*Acceleration Voltage.*300 kV", text, re.DOTALL)
    assert "Vendor&#39;s own" in text
    assert "12</td>" in text


def test_a_search_shows_how_it_was_understood(console: Console) -> None:
    client = console.client()
    text = client.get("/archive", params={"q": "gold, above 0.2 MV"}).text
    assert "acceleration voltage &gt; 200 kV" in text
    assert "gold_1.dm3" in text
    assert "Nothing was found" in client.get("/archive", params={"q": "above 400 kV"}).text
    problem = client.get("/archive", params={"q": "above 5 lx"})
    assert (problem.status_code, "measured in lx" in problem.text) == (200, True)


async def test_nothing_of_a_withdrawn_record_is_left(console: Console, history: Any) -> None:
    after = await console.store.last_sequence()
    await console.state(history, [SessionEvents("a").declined(after=after)])
    client = console.client()
    assert client.get("/archive/a").status_code == 404
    assert client.get("/archive/a/record.xml").status_code == 404
    assert client.get(f"/sessions/a/artifacts/{PREVIEW}").status_code == 404
    assert "gold_1.dm3" not in client.get("/archive").text
    assert PREVIEW not in client.get("/sessions/a").text


def test_names_are_gone_a_minute_after_a_person_is_forgotten(console: Console) -> None:
    assert "Ned" not in Path(console.url.removeprefix("sqlite:///")).read_bytes().decode("latin-1")


def test_raw_files_are_given_only_where_that_is_allowed(console: Console, tmp_path: Path) -> None:
    (tmp_path / "files" / "Titan").mkdir()
    (tmp_path / "files" / LOCATION).write_bytes(b"raw")
    assert console.client().get(f"/sessions/a/raw/{LOCATION}").status_code == 403


async def test_raw_files_may_be_open(tmp_path: Path, history: Any) -> None:
    console = Console(tmp_path, raw_files="open")
    await console.session(history)
    (tmp_path / "files" / "Titan").mkdir()
    (tmp_path / "files" / LOCATION).write_bytes(b"raw")
    (tmp_path / "files" / "other.dm3").write_bytes(b"another session's")
    client = console.client()
    answer = client.get(f"/sessions/a/raw/{LOCATION}")
    assert (answer.content, answer.status_code) == (b"raw", 200)
    assert client.get("/sessions/a/raw/other.dm3").status_code == 404


def test_pages_answer_without_a_broker(console: Console) -> None:
    text = console.client().get("/operation").text
    assert "the broker does not answer" in text


def test_pages_do_not_wait_for_a_broker_that_hangs(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tables know is there all the same, and what nobody knows is named."""

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    async def hanging_letters() -> AsyncIterator[Any]:
        await hang()
        yield None

    monkeypatch.setattr(SessionRepository, "open", hang)
    monkeypatch.setattr(console.letters, "read", hanging_letters)
    monkeypatch.setattr(console.people, "find", hang)
    with console.client() as client:
        session = client.get("/sessions/a").text
        operation = client.get("/operation").text
        letters = client.get("/dead-letters").text
        instruments = client.get("/instruments").text
    assert "Gold &lt;b&gt;on&lt;/b&gt; carbon" in session
    assert "Its events could not be read (no answer within 0.5 s): 2 files" in session
    assert "the header ends after 12 bytes" in session
    assert "dead letters: not known" in operation
    assert "nobody knows whether there are any" in letters
    assert "not known: the broker does not answer" in instruments


async def test_a_question_that_takes_long_is_asked_once_and_answered_later() -> None:
    asked = asyncio.Event()
    answered = asyncio.Event()
    times = 0

    async def question() -> str:
        nonlocal times
        times += 1
        asked.set()
        await answered.wait()
        return "well"

    questions: Questions[str] = Questions()
    for _ in range(3):
        with pytest.raises(BrokerUnavailableError, match="no answer within 0"):
            await questions.ask("builder", question, 0.0)
    await asked.wait()
    answered.set()
    assert await questions.ask("builder", question, 60.0) == "well"
    assert times == 1


async def test_dead_letters_lead_to_their_sessions(console: Console) -> None:
    await console.letters.write("builder", 7, "nexus.events.a.session.ended", "<i>why</i>")
    clock = "the clock that dates the files of FEI-Titan-TEM seems to be 3600 s ahead"
    await console.letters.write("indexer", 0, "instrument FEI-Titan-TEM", clock)
    client = console.client()
    letters = client.get("/dead-letters").text
    assert 'href="/sessions/a"' in letters
    assert "&lt;i&gt;why" in letters
    assert "<button>Try again" not in letters
    assert "3600 s ahead" in client.get("/instruments").text


def test_traces_are_linked_where_a_setting_says_how(tmp_path: Path, console: Console) -> None:
    assert "Traces" not in console.client().get("/sessions/a").text
    with pytest.raises(ValueError, match="session"):
        Console(tmp_path, trace_url="https://grafana.example.org/")


def test_other_host_names_are_refused(console: Console) -> None:
    answer = console.client().get("/", headers={"host": "evil.example.org"})
    assert answer.status_code == 400


def test_a_script_gets_only_the_live_part(console: Console) -> None:
    part = console.client().get("/", headers={"x-live": "1"}).text
    assert "<html" not in part
    assert 'href="/sessions/a"' in part


async def test_a_session_with_very_many_files_is_not_opened(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pages.session", "files"):
        monkeypatch.setattr(f"nexuslims_console.web.{module}.MOST_OPENED", 1)
    client = console.client()
    assert 'class="gaps"' in client.get("/sessions/a").text, "drawn from the tables"
    for page in ("/sessions/a", "/sessions/a/files"):
        text = client.get(page).text
        assert "the header ends after 12 bytes" in text
        assert "gold_1.dm3" in text
    assert client.get(f"/sessions/a/artifacts/{PREVIEW}").status_code == 200
    assert client.get("/sessions/a/artifacts/records/a.xml").status_code == 404
