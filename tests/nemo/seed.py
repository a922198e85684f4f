"""Fills a NEMO with the sessions of ``cases.py``. Runs in NEMO's environment.

What a person can answer goes through NEMO's own form reader, so it is stored as NEMO stores it;
what no form gives is stored as it is.
"""

import json
from datetime import datetime, timedelta

from cases import ABSENT, CASES, Raw
from django.contrib.auth.models import Permission
from django.db import transaction
from facility import VIEWED, ZONE, answer, book, choice, person, text, tool, use
from NEMO.models import Account, Area, Project, Reservation

BEGIN = datetime(2025, 4, 1, 8, tzinfo=ZONE)
FORM = [
    text("experiment_title"),
    text("experiment_purpose", kind="textarea"),
    text("project_id"),
    text("pressure"),
    {
        "type": "group",
        "name": "sample_group",
        "title": "Samples",
        "max_number": 5,
        "questions": [
            choice("sample_or_pid", "Sample Name", "PID"),
            text("sample_name"),
            {**choice("periodic_table", "Cr", "Fe", "Ni"), "type": "checkbox"},
        ],
    },
]
PEOPLE = {
    "ana": ("ana", "Ana", "Ribeiro"),
    "zoe": ("zmueller", "Zo\u00eb", "M\u00fcller"),
    "bare": ("bare", "", ""),
    "john": ("jsmith.old", "John", "Smith"),
    "jane": ("jsmith", "Jane", "Smith"),
    "dora": ("dora", "Dora", "Left"),
    "chen": ("chen", "Wei", "Chen"),
}


def stored(form, title):
    """What NEMO keeps of a form; ``title`` is its title if it gives none."""
    if form is None:
        return None
    if isinstance(form, Raw):
        return form.text
    answers = {
        "experiment_title": title if form.title is None else form.title,
        "experiment_purpose": "Looking",
        "project_id": "PRJ-7",
        **form.more,
    }
    kind = {str: "textbox", list: "checkbox"}.get(type(form.consent))
    asked = {"type": kind, "name": "data_consent", "title": "May we?"}
    if form.consent is ABSENT:
        return answer(FORM, form.samples, **answers)
    if kind == "textbox":
        return answer([{**asked, "required": True}, *FORM], form.samples, data_consent=form.consent,
                      **answers)  # fmt: skip
    kept = json.loads(answer(FORM, form.samples, **answers))
    kept["data_consent"] = {**asked, "type": kind or "group", "user_input": form.consent}
    return json.dumps(kept, indent="\t")


@transaction.atomic
def fill_nemo(bulk):
    """Fill an empty database; there are no further sessions of this kind."""
    del bulk
    person("admin", "Lab", "Admin", "a", is_superuser=True, is_staff=True)
    robot = person("harvester", "Harvest", "Robot", "b")
    for model in VIEWED:
        robot.user_permissions.add(
            Permission.objects.get(codename=f"view_{model}", content_type__app_label="NEMO")
        )
    people = {key: person(*names) for key, names in PEOPLE.items()}
    people["dora"].is_active = False
    people["dora"].save()
    account = Account.objects.create(name="Materials", active=True)
    project = Project.objects.create(
        name="Alloy fatigue", application_identifier="AF-2025", account=account, active=True
    )
    places = {name: tool(name, people["chen"]) for name in ("titan", "sigma", "coater", "lift")}
    for name in ("arm", "stage"):
        places[name] = tool(name, people["chen"])
        places[name].parent_tool = places["lift"]
        places[name].save()
    places["area"] = Area.objects.create(name="Microscopy", category="Building 1")
    for number, case in enumerate(CASES):
        start = BEGIN + timedelta(hours=12 * number)
        first, last = case.hours
        over = None if last is None else start + timedelta(hours=last)
        for one in case.bookings:
            tool_and_user = places[one.tool or case.tool], people[one.user or case.user]
            reserve(one, tool_and_user, start, project, f"{case.key} booked")
        use(
            places[case.tool],
            people[case.user],
            (start + timedelta(hours=first), over),
            project,
            operator=people[case.operator or case.user],
            run_data=stored(case.post, f"{case.key} after"),
            pre_run_data=stored(case.pre, f"{case.key} before"),
        )


def reserve(booking, tool_and_user, start, project, title):
    """Make a reservation of a case."""
    period = tuple(start + timedelta(hours=hours) for hours in booking.hours)
    more = dict(booking.state)
    if more.get("descendant") == -1:
        more["descendant"] = Reservation.objects.latest("id")
    kept = stored(booking.form, title)
    book(*tool_and_user, period, project, kept, title=booking.title, **more)
