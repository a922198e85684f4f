"""What the NEMO of the tests holds: five people, three tools, twenty sessions with their bookings.

Runs in NEMO's environment. Every answer goes through NEMO's own form reader, so it is stored as
NEMO stores it. A session's number is its place in the list, from 1; so is a booking's.
"""

import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import transaction
from django.http import QueryDict
from NEMO.exceptions import RequiredUnansweredQuestionsException
from NEMO.models import (
    Account,
    Area,
    Project,
    Reservation,
    Tool,
    UsageEvent,
    User,
)
from NEMO.widgets.dynamic_form import DynamicForm
from rest_framework.authtoken.models import Token

ZONE = ZoneInfo(settings.TIME_ZONE)
VIEWED = ("tool", "user", "project", "reservation", "usageevent")


def text(name, *, kind="textbox", required=False):
    """A question answered by a text."""
    return {"type": kind, "name": name, "title": name, "required": required}


def choice(name, *choices, required=False):
    """A question answered by one of several."""
    return {**text(name, kind="radio", required=required), "choices": list(choices)}


def form(*, samples="group", required=True):
    """The questions of an experiment; samples in a group, or one directly."""
    one = [
        text("sample_name", required=required and samples == "group"),
        text("sample_details", kind="textarea"),
    ]
    elements = {**choice("periodic_table", "Cr", "Fe", "Ni"), "type": "checkbox"}
    kind = choice("sample_or_pid", "Sample Name", "PID", required=required)
    group = {"type": "group", "name": "sample_group", "title": "Samples", "max_number": 5}
    return [
        text("experiment_title"),
        text("experiment_purpose", kind="textarea"),
        text("project_id"),
        choice("data_consent", "Agree", "Disagree", required=required),
        *([{**group, "questions": [kind, *one, elements]}] if samples == "group" else one),
    ]


PRESSURE = [{"type": "number_float", "name": "pressure", "title": "Pressure"}]


def answer(questions, samples=(), **answers):
    """What NEMO stores when a form is sent with these answers; ``""`` is sent as it is."""
    dynamic = DynamicForm(json.dumps(questions))
    sent = QueryDict(mutable=True)
    for question in dynamic.questions:
        if question.properties["type"] == "group":
            for number, sample in enumerate(samples):
                for sub in question.sub_questions:
                    if sub.name in sample:
                        field = f"{sub.form_name}_{number}" if number else sub.form_name
                        given = sample[sub.name]
                        sent.setlist(field, given if isinstance(given, list) else [given])
        elif question.name in answers:
            sent[question.form_name] = answers[question.name]
    try:
        return dynamic.extract(SimpleNamespace(POST=sent))
    except RequiredUnansweredQuestionsException as unanswered:
        return unanswered.run_data  # as when staff end a session for somebody


def says(title, *samples, consent="Agree", purpose="", questions=None):
    """Answers to the questions of an experiment."""
    return answer(
        questions or form(),
        samples,
        experiment_title=title,
        experiment_purpose=purpose,
        project_id="PRJ-7",
        data_consent=consent,
    )


def sample(name, *, kind="Sample Name", details=""):
    """One entry of the group of samples."""
    return {"sample_name": name, "sample_or_pid": kind, "sample_details": details}


GOLD = sample("Gold on carbon", details="5 nm")
PID = sample("20.500.1/abc-123", kind="PID")
WELD = {**sample("Fe\u2013Cr weld, \u00a72"), "periodic_table": ["Cr", "Fe"]}


def at(day, clock, micro=0):
    """An instant in March 2025, by the clock on the wall."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2025, 3, day, hour, minute, 0, micro, tzinfo=ZONE)


def person(username, first, last, token="", **more):
    """A user, with an API token if one is given."""
    user = User.objects.create(
        username=username,
        first_name=first,
        last_name=last,
        email=f"{username}@example.org",
        training_required=False,
        **more,
    )
    if token:
        Token.objects.create(user=user, key=token * 40)
    return user


@transaction.atomic
def fill_nemo(bulk):
    """Fill an empty database."""
    person("admin", "Lab", "Admin", "a", is_superuser=True, is_staff=True)
    robot = person("harvester", "Harvest", "Robot", "b")
    person("nobody", "No", "Body", "c")
    for model in VIEWED:
        robot.user_permissions.add(
            Permission.objects.get(codename=f"view_{model}", content_type__app_label="NEMO")
        )
    ana = person("ana", "Ana", "Ribeiro")
    zoe = person("zmueller", "Zo\u00eb", "M\u00fcller")
    chen = person("chen", "Wei", "Chen", is_staff=True)
    account = Account.objects.create(name="Materials", active=True)
    alloys, catalysis = (
        Project.objects.create(
            name=name, application_identifier=number, account=account, active=True
        )
        for name, number in (("Alloy fatigue", "AF-2025"), ("Catalysis", "NC-0042"))
    )
    area = Area.objects.create(name="Microscopy", category="Building 1")
    tools = titan, sigma, _ = [
        tool(name, chen) for name in ("Titan 80-300 TEM", "Sigma 300 FESEM", "Carbon coater")
    ]
    people, projects = (ana, zoe, chen), (alloys, catalysis)
    bookings(tools, area, people, projects)
    sessions(tools, people, projects)
    fill_bulk(bulk, (titan, sigma), people, alloys)


def fill_bulk(count, tools, people, project):
    """So many more sessions between 2024 and the others, each second one booked with consent."""
    apart = min(timedelta(hours=12), timedelta(days=400) / max(count, 1))
    agreed = says("Bulk", GOLD)
    uses, reservations = [], []
    for number in range(count):
        start = datetime(2024, 1, 1, 8, tzinfo=ZONE) + apart * number
        period = {"start": start, "end": start + min(timedelta(hours=3), apart)}
        user = people[0 if number % 3 else 1]
        common = {"tool": tools[number % 2], "user": user, "project": project, **period}
        uses.append(UsageEvent(operator=user, has_ended=1_000_000 + number, **common))
        if number % 2:
            made = {"creator": user, "creation_time": start - timedelta(days=3)}
            reservations.append(
                Reservation(short_notice=False, question_data=agreed, **common, **made)
            )
    UsageEvent.objects.bulk_create(uses, batch_size=500)
    Reservation.objects.bulk_create(reservations, batch_size=500)


def tool(name, owner):
    """A tool that works."""
    made = Tool(name=name, _category="Lab", _operational=True, _location="Room 114")
    made._primary_owner = owner
    made.save()
    return made


def book(what, user, period, project, answers=None, **more):
    """A reservation of a tool or an area."""
    start, end = period
    more.setdefault("creator", user)
    target = {"area": what} if isinstance(what, Area) else {"tool": what}
    return Reservation.objects.create(
        user=user,
        creation_time=start - timedelta(days=3),
        start=start,
        end=end,
        project=project,
        short_notice=False,
        question_data=answers,
        **target,
        **more,
    )


def use(what, user, period, project, **more):
    """A usage event."""
    start, end = period
    more.setdefault("operator", user)
    UsageEvent.objects.create(tool=what, user=user, start=start, end=end, project=project, **more)


def bookings(tools, area, people, projects):
    """Seventeen reservations."""
    titan, sigma, coater = tools
    ana, zoe, chen = people
    alloys, catalysis = projects
    refused = {"consent": "Disagree"}
    flat = answer(
        form(samples="direct"),
        experiment_title="Flat layout",
        data_consent="Agree",
        sample_name="S-1",
        sample_details="no group",
    )
    three = says("Dislocations", GOLD, PID, WELD, purpose="Find crack nuclei")
    book(titan, ana, (at(10, "09:00"), at(10, "13:00")), alloys, three)
    book(sigma, zoe, (at(10, "14:00"), at(10, "16:00")), catalysis, says("Particle sizes", GOLD))
    book(titan, zoe, (at(11, "09:00"), at(11, "12:00")), alloys, says("Secret", PID, **refused))
    book(titan, ana, (at(12, "09:00"), at(12, "12:00")), alloys, says("Cancelled", GOLD),
         cancelled=True, cancelled_by=chen, cancellation_time=at(11, "18:30"))  # fmt: skip
    book(sigma, ana, (at(12, "13:00"), at(12, "15:00")), alloys)
    book(sigma, ana, (at(13, "09:00"), at(13, "11:00")), alloys, flat)
    book(coater, zoe, (at(13, "11:00"), at(13, "12:00")), alloys)
    book(titan, zoe, (at(8, "22:00"), at(9, "04:00")), alloys, says("Clock change", GOLD))
    book(
        titan, ana, (at(14, "09:00"), at(14, "12:00")), alloys, says("By staff", GOLD), creator=chen
    )
    book(area, ana, (at(14, "09:00"), at(14, "17:00")), alloys)
    book(sigma, zoe, (at(14, "13:00"), at(14, "15:00")), alloys, says("Missed"), missed=True)
    early = book(titan, ana, (at(17, "09:00"), at(17, "11:10")), alloys, says("Early", GOLD))
    book(titan, ana, (at(17, "09:00"), at(17, "15:00")), alloys, says("Before", GOLD),
         shortened=True, descendant=early)  # fmt: skip
    book(sigma, ana, (at(18, "09:00"), at(18, "17:00")), alloys, says("Two sittings", PID))
    book(titan, ana, (at(20, "09:00"), at(20, "12:00")), alloys,
         says("No samples", questions=form(required=False)))  # fmt: skip
    book(titan, zoe, (at(28, "09:00"), at(28, "12:00")), alloys, says("To come", GOLD))
    book(titan, zoe, (at(22, "09:00"), at(22, "11:00")), alloys, says("No", GOLD, **refused))


def sessions(tools, people, projects):
    """Twenty usage events; what is to come of each is in ``tests/test_nemo.py``."""
    titan, sigma, coater = tools
    ana, zoe, chen = people
    alloys, catalysis = projects
    unticked = {"sample_name": "X-9", "sample_details": ""}
    use(titan, zoe, (at(8, "22:03"), at(9, "04:01")), alloys)
    use(titan, ana, (at(10, "09:05", 123456), at(10, "12:50", 654321)), alloys)
    use(sigma, zoe, (at(10, "14:01"), at(10, "15:58")), catalysis, run_data="")
    use(titan, zoe, (at(11, "09:00"), at(11, "11:30")), alloys)
    use(titan, ana, (at(12, "16:00"), at(12, "17:00")), alloys)
    use(sigma, ana, (at(12, "13:02"), at(12, "14:40")), alloys)
    use(sigma, ana, (at(13, "09:01"), at(13, "10:55")), alloys)
    use(coater, zoe, (at(13, "11:00"), at(13, "11:20")), alloys)
    use(titan, ana, (at(14, "09:00"), at(14, "12:00")), alloys, operator=chen)
    use(titan, zoe, (at(15, "10:00"), at(15, "12:00")), alloys, run_data=says("After", GOLD, PID))
    use(titan, zoe, (at(15, "13:00"), at(15, "14:00")), alloys, pre_run_data=says("Before", PID))
    use(titan, ana, (at(16, "10:00"), at(16, "11:00")), alloys,
        pre_run_data=says("Yes", GOLD), run_data=says("No", GOLD, consent="Disagree"))  # fmt: skip
    use(titan, ana, (at(17, "09:00"), at(17, "11:10")), alloys)
    use(sigma, ana, (at(18, "09:00"), at(18, "11:30")), alloys)
    use(sigma, ana, (at(18, "13:30"), at(18, "16:45")), alloys,
        run_data=answer(PRESSURE, pressure="0.0000021"))  # fmt: skip
    use(titan, ana, (at(19, "09:00"), at(19, "10:00")), alloys, operator=chen,
        run_data=answer(form()))  # fmt: skip
    use(titan, zoe, (at(19, "11:00"), at(19, "12:00")), alloys,
        run_data=says("Not ticked", unticked, questions=form(required=False)))  # fmt: skip
    use(titan, ana, (at(20, "09:00"), at(20, "10:00")), alloys)
    use(sigma, zoe, (at(21, "09:00"), None), alloys, pre_run_data=says("Running", GOLD))
    use(titan, zoe, (at(22, "09:00"), at(22, "11:00")), alloys, operator=chen,
        run_data=answer(form(samples="direct")))  # fmt: skip
