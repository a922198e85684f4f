"""A NEMO that gives anything in any field: what is wrong is named, what is right goes on."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from nexuslims_harvester.calendar import CalendarEntry, EntryProblem, Window

WINDOW = Window(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC))
ANSWERS = {"data_consent": {"user_input": "Agree"}, "sample_group": {"user_input": {"0": {}}}}
OBJECTS = {
    "tools": {"id": 1, "name": "Titan"},
    "users": {"id": 4, "username": "ana", "first_name": "Ana", "last_name": "R", "email": "a@b.c"},
    "projects": {"id": 1, "name": "Alloys", "application_identifier": "AF"},
    "reservations": {
        "id": 1,
        "start": "2025-03-10T09:00:00Z",
        "end": "2025-03-10T12:00:00Z",
        "user": 4,
        "tool": 1,
        "title": "Slot",
        "cancelled": False,
        "missed": False,
        "descendant": None,
        "question_data": ANSWERS,
    },
    "usage_events": {
        "id": 1,
        "start": "2025-03-10T09:00:00Z",
        "end": "2025-03-10T12:00:00Z",
        "user": 4,
        "operator": 4,
        "project": 1,
        "tool": 1,
        "run_data": "",
        "pre_run_data": json.dumps(ANSWERS),
    },
}
STRANGE = [
    None,
    True,
    -1,
    1.5,
    float("nan"),
    "",
    "x",
    "\ud800",
    "[" * 5000,
    [],
    [[1]],
    {},
    {"a": 1},
]


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, one in OBJECTS.items() for field in one]
)
async def test_no_field_is_too_strange(nemo_calendar, name, field):
    wrong = {}

    def answer(request):
        asked = request.url.path.strip("/").rpartition("/")[2]
        objects = [OBJECTS[asked], *([wrong] if asked == name else [])]
        return httpx.Response(200, text=json.dumps(objects))

    calendar = nemo_calendar(answer)
    for value in STRANGE:
        wrong.clear()
        wrong.update({**OBJECTS[name], "id": 99, field: value})
        found = await calendar.entries(WINDOW)
        whole = [one for one in found if isinstance(one, CalendarEntry) and one.id == "usage-1"]
        assert [(one.consent, one.user.username) for one in whole] == [(True, "ana")], value
        problems = [one for one in found if isinstance(one, EntryProblem)]
        assert all(one.entry.startswith(f"nemo-1 {name}/") for one in problems)
