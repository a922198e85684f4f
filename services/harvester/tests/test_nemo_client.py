"""Asking a NEMO that misbehaves: what is repeated, what is an error, what it says."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from nexuslims_harvester.calendar import CalendarEntry, DeletedEntry, EntryProblem, Window
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.nemo import client as client_module

WINDOW = Window(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC))
USAGE = {
    "id": 1,
    "start": "2025-03-10T09:00:00Z",
    "end": "2025-03-10T12:00:00Z",
    "user": 4,
    "operator": 4,
    "project": 1,
    "tool": 1,
}
OBJECTS = {
    "tools": [{"id": 1, "name": "Titan"}],
    "users": [{"id": 4, "username": "ana"}],
    "projects": [{"id": 1, "name": "Alloys"}],
    "reservations": [],
    "usage_events": [USAGE],
}


def endpoint_of(url):
    return url.path.strip("/").rpartition("/")[2]


class Nemo:
    """Gives the objects above, but for those endpoints that misbehave."""

    def __init__(self, **wrong):
        self.wrong = wrong
        self.asked = []

    def __call__(self, request):
        name = endpoint_of(request.url)
        self.asked.append(request.url)
        wrong = self.wrong.get(name, [])
        if wrong:
            answer = wrong.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if "end__isnull" in request.url.params:
            return httpx.Response(200, json=[])
        return httpx.Response(200, json=OBJECTS[name])


def trouble(status, *, times=1, **headers):
    return [httpx.Response(status, headers=headers) for _ in range(times)]


async def test_one_session_costs_six_requests_and_all_but_the_tools_are_filtered(nemo_calendar):
    nemo = Nemo()
    (entry,) = await nemo_calendar(nemo).entries(WINDOW)
    assert entry.user.username == "ana"
    assert [endpoint_of(url) for url in nemo.asked] == [
        "tools",
        "usage_events",
        "usage_events",
        "users",
        "projects",
        "reservations",
    ]
    assert all(len(url.params) > 2 for url in nemo.asked[1:])


async def test_a_quiet_poll_asks_for_nothing_that_is_known(nemo_calendar):
    nemo = Nemo()
    calendar = nemo_calendar(nemo)
    first = await calendar.entries(WINDOW)
    nemo.asked.clear()
    assert await calendar.entries(WINDOW) == first
    assert [endpoint_of(url) for url in nemo.asked] == ["usage_events"] * 2 + ["reservations"]
    nemo.asked.clear()
    sweep = replace(WINDOW, sweep=True, oldest=True)
    assert await calendar.entries(sweep) == first
    assert [endpoint_of(url) for url in nemo.asked] == [
        "tools", "usage_events", "users", "projects", "reservations"
    ]  # fmt: skip


async def test_a_tool_that_vanishes_between_polls_is_named(nemo_calendar):
    nemo = Nemo()
    calendar = nemo_calendar(nemo)
    await calendar.entries(WINDOW)
    nemo.wrong["usage_events"] = trouble(400)
    nemo.wrong["tools"] = [httpx.Response(200, json=[])]
    (problem,) = await calendar.entries(replace(WINDOW, expected={"usage-1": "titan"}))
    assert str(problem).startswith("nemo-1 tools/1: there is no such tool")


async def test_what_could_not_be_used_is_asked_for_until_it_can(nemo_calendar):
    reversed_ = {**USAGE, "id": 8, "end": "2025-03-10T08:00:00Z"}
    nemo = Nemo(usage_events=[httpx.Response(200, json=[USAGE, reversed_])])
    calendar = nemo_calendar(nemo)
    await calendar.entries(WINDOW)
    nothing = [httpx.Response(200, json=[])] * 2
    later = replace(WINDOW, since=WINDOW.until, until=WINDOW.until + timedelta(days=99))
    for answer in (reversed_, {**reversed_, "end": "2025-03-10T10:00:00Z"}):
        nemo.wrong["usage_events"] = [*nothing, httpx.Response(200, json=[answer])]
        nemo.asked.clear()
        found = await calendar.entries(later)
        assert next(url.params["id__in"] for url in nemo.asked if "id__in" in url.params) == "8"
    assert [one.id for one in found] == ["usage-8"]
    nemo.asked.clear()
    await calendar.entries(later)
    assert not any("id__in" in url.params for url in nemo.asked)


async def test_a_token_that_was_rotated_is_read_again(nemo_calendar, monkeypatch, tmp_path):
    monkeypatch.delenv("NX_NEMO_TOKEN_1")
    monkeypatch.setenv("NX_NEMO_TOKEN_1_FILE", str(tmp_path / "token"))
    (tmp_path / "token").write_text("old")
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        is_new = seen[-1] == "Token new"
        return Nemo()(request) if is_new else httpx.Response(403)

    calendar = nemo_calendar(answer)
    with pytest.raises(CalendarUnavailableError, match="refuses us"):
        await calendar.entries(WINDOW)
    (tmp_path / "token").write_text("new")
    assert len(await calendar.entries(WINDOW)) == 1
    (tmp_path / "token").unlink()
    with pytest.raises(CalendarUnavailableError, match="NX_NEMO_TOKEN_1_FILE"):
        await calendar.entries(WINDOW)


@pytest.mark.parametrize("name", list(OBJECTS))
@pytest.mark.parametrize(
    "passing",
    [
        lambda: trouble(503, times=2),
        lambda: trouble(429, **{"retry-after": "0"}),
        lambda: trouble(500),
        lambda: [httpx.ConnectError("refused")],
        lambda: [httpx.ReadTimeout("slow")],
        lambda: [httpx.RemoteProtocolError("cut off")],
        lambda: [httpx.Response(200, text='[{"id": 1, "na')],
    ],
)
async def test_what_passes_is_asked_again(nemo_calendar, name, passing):
    nemo = Nemo(**{name: passing()})
    (entry,) = await nemo_calendar(nemo).entries(WINDOW)
    assert isinstance(entry, CalendarEntry)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: trouble(401), "refuses us (401): NX_NEMO_TOKEN_1 must be"),
        (lambda: trouble(403), "refuses us (403): NX_NEMO_TOKEN_1 must be"),
        (lambda: [httpx.Response(200, html="<html>")], "NX_NEMO_ADDRESS_1 must be"),
        (lambda: [httpx.Response(200, json=3)], "no list of objects"),
        (lambda: [httpx.Response(200, json={"detail": "x"})], "no list of objects"),
        (lambda: [httpx.Response(400, json={"id": ["bad"]})], 'refuses the request (400): {"id"'),
        (lambda: [httpx.Response(404, html="<html>")], "refuses the request (404) (asked for"),
        (lambda: trouble(301, location="https://new/"), "is at https://new/: correct NX_NEMO_ADD"),
    ],
)
@pytest.mark.parametrize("name", ["tools", "usage_events", "reservations"])
async def test_what_does_not_pass_is_an_error_at_once(nemo_calendar, name, wrong, words):
    nemo = Nemo(**{name: wrong()})
    with pytest.raises(CalendarUnavailableError) as caught:
        await nemo_calendar(nemo).entries(WINDOW)
    message = str(caught.value)
    assert words in message
    assert message.startswith("nemo-1 at https://nemo.example.org/api/ ")
    assert message.endswith(f"(asked for {name})")
    assert len([url for url in nemo.asked if name in url.path]) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(503), r"is in trouble \(503\), 6 times"),
        (httpx.Response(500, html="<html>Server Error</html>"), r"is in trouble \(500\), 6 times"),
        (httpx.Response(200, text='[{"id": 1, "na'), r"damaged JSON \(.*\), 6 times"),
        (httpx.ReadTimeout("slow"), r"does not answer in time, 6 times"),
        (httpx.ConnectError("refused"), r"cannot be reached \(refused\), 6 times"),
    ],
)
async def test_trouble_that_lasts_is_given_up(nemo_calendar, answer, words):
    nemo = Nemo(reservations=[answer] * 99)
    with pytest.raises(CalendarUnavailableError, match=rf"^nemo-1 at .* {words} .*reservations"):
        await nemo_calendar(nemo).entries(WINDOW)
    assert len([url for url in nemo.asked if "reservations" in url.path]) == client_module.ATTEMPTS


async def test_a_pause_that_is_asked_for_is_made(nemo_calendar, monkeypatch):
    pauses = []
    monkeypatch.setattr("asyncio.sleep", lambda seconds: _note(pauses, seconds))
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answers = [*trouble(429, **{"retry-after": "7"}), *trouble(503, **{"retry-after": soon})]
    await nemo_calendar(Nemo(tools=answers)).entries(WINDOW)
    assert pauses[0] == pytest.approx(7)
    assert 25 < pauses[1] <= 30


async def _note(pauses, seconds):
    pauses.append(seconds)


async def test_a_long_pause_is_kept_without_waiting(nemo_calendar):
    nemo = Nemo(tools=trouble(503, **{"retry-after": "3600"}))
    calendar = nemo_calendar(nemo)
    with pytest.raises(CalendarUnavailableError, match="is busy"):
        await calendar.entries(WINDOW)
    with pytest.raises(CalendarUnavailableError, match="left alone for"):
        await calendar.entries(WINDOW)
    assert len(nemo.asked) == 1


async def test_the_token_is_in_no_error_and_no_log(nemo_calendar, caplog):
    caplog.set_level(logging.DEBUG)
    nemo = Nemo(tools=[httpx.ConnectError("refused"), *trouble(403)])
    with pytest.raises(CalendarUnavailableError) as caught:
        await nemo_calendar(nemo).entries(WINDOW)
    assert nemo.asked
    token = "0123456789abcdef"
    assert token not in caplog.text + str(caught.value) + repr(caught.value.__context__)


async def test_a_token_that_nemo_says_back_is_hidden(nemo_calendar):
    words = httpx.Response(400, json={"detail": "Token 0123456789abcdef is odd"})
    with pytest.raises(CalendarUnavailableError, match=r"Token \(hidden\) is odd"):
        await nemo_calendar(Nemo(tools=[words])).entries(WINDOW)


async def test_a_pause_that_is_over_or_nonsense_is_none(nemo_calendar, monkeypatch):
    pauses = []
    monkeypatch.setattr("asyncio.sleep", lambda seconds: _note(pauses, seconds))
    past = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
    answers = [
        one for value in (past, "soon", "-5") for one in trouble(503, **{"retry-after": value})
    ]
    await nemo_calendar(Nemo(tools=answers)).entries(WINDOW)
    assert pauses == [0, 0, 0]


async def test_a_hundred_thousand_events_are_read(nemo_calendar):
    count = 100_000

    def answer(request):
        params = request.url.params
        if endpoint_of(request.url) != "usage_events" or "end__isnull" in params:
            return Nemo()(request)
        page, size = int(params["page"]), int(params["page_size"])
        numbers = range((page - 1) * size + 1, min(page * size, count) + 1)
        results = [{**USAGE, "id": number} for number in numbers]
        return httpx.Response(200, json={"results": results, "next": page * size < count or None})

    entries = await nemo_calendar(answer).entries(WINDOW)
    assert len({entry.id for entry in entries}) == count


async def test_pages_are_put_together_and_what_comes_twice_counts_once(nemo_calendar):
    nemo = Nemo(
        usage_events=[
            httpx.Response(200, json={"results": [USAGE], "next": "https://evil.example.org/"}),
            httpx.Response(200, json={"results": [USAGE, {**USAGE, "id": 2}], "next": None}),
        ]
    )
    entries = await nemo_calendar(nemo).entries(WINDOW)
    assert [entry.id for entry in entries] == ["usage-1", "usage-2"]
    assert {url.host for url in nemo.asked} == {"nemo.example.org"}
    assert [url.params["page"] for url in nemo.asked if "usage" in url.path] == ["1", "2", "1"]


async def test_many_ids_are_asked_for_in_several_requests(nemo_calendar):
    many = [{**USAGE, "id": number, "user": number, "operator": None} for number in range(1, 451)]
    nemo = Nemo(usage_events=[httpx.Response(200, json=many)])
    await nemo_calendar(nemo).entries(WINDOW)
    assert len([url for url in nemo.asked if "users" in url.path]) == 3
    assert max(len(str(url)) for url in nemo.asked) < 2000


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"id": 8, "tool": "Titan"}, "nemo-1 usage_events/8: start: "),
        ({**USAGE, "id": 8, "user": None}, "nemo-1 usage_events/8: user: "),
        ({**USAGE, "id": 8, "start": 5}, "nemo-1 usage_events/8: start: "),
        ({**USAGE, "id": 8, "end": "2025-03-10T08:00:00Z"}, "nemo-1 usage_events/8: it ends"),
        ({**USAGE, "id": 8, "start": "soon"}, "nemo-1 usage_events/8: it has no proper time"),
        ({**USAGE, "id": 8, "start": "0001-01-01T00:00:00+14:00"}, "nemo-1 usage_events/8: it has"),
        ({**USAGE, "id": 8, "end": "9999-12-31T23:59:59-14:00"}, "nemo-1 usage_events/8: it has"),
        ({**USAGE, "id": None}, "nemo-1 usage_events/None: id: "),
        ("text", "nemo-1 usage_events/?: object: "),
        (None, "nemo-1 usage_events/?: object: "),
    ],
)
async def test_a_wrong_event_is_named_and_the_others_go_on(nemo_calendar, wrong, where):
    answer = httpx.Response(200, text=json.dumps([wrong, USAGE]))
    entries = await nemo_calendar(Nemo(usage_events=[answer])).entries(WINDOW)
    problems = [str(one) for one in entries if isinstance(one, EntryProblem)]
    assert [one.id for one in entries if isinstance(one, CalendarEntry)] == ["usage-1"]
    assert len(problems) == 1
    assert problems[0].startswith(where)


async def test_a_wrong_reservation_is_named(nemo_calendar):
    wrong = {"id": 5, "start": "x", "end": "y", "user": 4, "tool": 1}
    nemo = Nemo(reservations=[httpx.Response(200, json=[wrong, {"id": 6}])])
    entries = await nemo_calendar(nemo).entries(WINDOW)
    named = {one.entry for one in entries if isinstance(one, EntryProblem)}
    assert named == {"nemo-1 reservations/5", "nemo-1 reservations/6"}


async def test_an_unknown_tool_is_named_and_not_asked_for(nemo_calendar, titan):
    gone = titan.model_copy(update={"pid": "gone", "calendar_id": "99"})
    nemo = Nemo()
    problem, entry = await nemo_calendar(nemo, gone=gone).entries(WINDOW)
    assert "correct calendar_id of instrument gone" in str(problem)
    assert entry.id == "usage-1"
    asked = [url.params["tool_id__in"] for url in nemo.asked if "usage_events" in url.path]
    assert asked == ["1", "1"]


async def test_what_was_known_and_is_missing_is_asked_for_by_number(nemo_calendar):
    moved = {**USAGE, "id": 2, "start": "2024-01-01T09:00:00Z", "end": "2024-01-01T12:00:00Z"}
    elsewhere = {**USAGE, "id": 3, "tool": 7}
    answers = [[USAGE], [], [moved, elsewhere]]
    nemo = Nemo(usage_events=[httpx.Response(200, json=answer) for answer in answers])
    known = dict.fromkeys(["usage-1", "usage-2", "usage-3", "usage-4", "imported"], "titan")
    known["usage-5"] = "an instrument that is none any more"
    found = await nemo_calendar(nemo).entries(replace(WINDOW, expected=known))
    assert nemo.asked[3].params["id__in"] == "2,3,4"
    assert [one.id for one in found] == ["usage-2", "usage-1", "usage-4", "usage-3"]
    assert [one.reason for one in found[2:]] == [
        "it is not in the calendar any more",
        "it was moved to a tool that is no instrument",
    ]


async def test_of_a_session_left_open_only_its_users_bookings_are_asked_for(nemo_calendar):
    open_ = {**USAGE, "id": 2, "user": 5, "start": "2020-01-01T09:00:00Z", "end": None}
    answers = [httpx.Response(200, json=[USAGE]), httpx.Response(200, json=[open_])]
    nemo = Nemo(usage_events=answers)
    entries = await nemo_calendar(nemo).entries(WINDOW)
    assert [entry.id for entry in entries] == ["usage-2", "usage-1"]
    everybody, own = [url.params for url in nemo.asked if "reservations" in url.path]
    assert everybody["end__gt"] == "2025-03-10T09:00:00Z"
    assert "user_id__in" not in everybody
    assert (own["end__gt"], own["user_id__in"]) == ("2020-01-01T09:00:00Z", "5")


async def test_nothing_is_withdrawn_by_a_nemo_that_is_not_itself(nemo_calendar):
    window = replace(WINDOW, expected={"usage-4": "titan"})
    unreadable = httpx.Response(200, json=[{**USAGE, "id": "4"}])
    for nemo in (Nemo(tools=[httpx.Response(200, json=[])]), Nemo(usage_events=[unreadable])):
        found = await nemo_calendar(nemo).entries(window)
        assert [one for one in found if isinstance(one, DeletedEntry)] == []
        assert any(isinstance(one, EntryProblem) for one in found)


async def test_the_window_is_asked_for_in_the_zone_and_form_of_nemo(nemo_calendar, monkeypatch):
    monkeypatch.setenv("NX_NEMO_STRFTIME_FMT_1", "%Y-%m-%d %H:%M%z")
    monkeypatch.setenv("NX_NEMO_TZ_1", "Europe/Berlin")
    nemo = Nemo()
    await nemo_calendar(nemo).entries(WINDOW)
    assert nemo.asked[1].params["end__gte"] == "2025-03-01 01:00+0100"
    assert b"01%3A00%2B0100" in nemo.asked[1].query, "a bare + is a space to a server"


async def test_the_first_harvest_goes_back_a_week_or_as_far_as_set(nemo_calendar, monkeypatch):
    first = replace(WINDOW, since=None)
    nemo = Nemo()
    await nemo_calendar(nemo).entries(first)
    assert nemo.asked[1].params["end__gte"] == "2025-03-25T00:00:00Z"
    monkeypatch.setenv("NX_NEMO_SINCE_1", "2020-01-01")
    nemo = Nemo()
    await nemo_calendar(nemo).entries(first)
    assert nemo.asked[1].params["end__gte"] == "2020-01-01T00:00:00Z"
