"""Sessions of a NEMO and what must come of each: the facts, and nothing of how they are read.

Plain data, for the process that fills NEMO and for the test that harvests it. A session's number
is its place in ``CASES``, from 1. Times are hours from the first session, by the clock of a wall in
Denver; each session has half a day of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

POST, PRE, BOOKED = "post-run", "pre-run", "reservation"
"""A record, told by these answers."""
NO, UNBOOKED, RUNNING = "no consent", "no reservation", "running"
WRONG, IGNORED = "wrong", "ignored"
"""No record: refused or left blank; nothing matched; not over; told as a problem; not ours."""

TITAN, SIGMA, COATER, LIFT, ARM, STAGE = "titan", "sigma", "coater", "lift", "arm", "stage"
"""Tools. ``arm`` and ``stage`` are children of ``lift``; ``coater`` is no instrument of ours, nor
is ``stage``, but for its family."""
TOOLS = (TITAN, SIGMA, COATER, LIFT, ARM, STAGE)
"""In the order of their numbers."""
INSTRUMENTS = (TITAN, SIGMA, LIFT, ARM)

ABSENT = object()
"""The question is not in the form, or has no answer in it."""


@dataclass(frozen=True)
class Form:
    """Answers to the questions of an experiment; ``more`` are further answers by name."""

    consent: Any = "Agree"
    title: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[Mapping[str, Any]] = ({"sample_name": "Gold on carbon"},)


@dataclass(frozen=True)
class Raw:
    """What is stored is this text, however it came there."""

    text: str


@dataclass(frozen=True)
class Booking:
    """A reservation; its hours are counted from the start of the session."""

    form: Form | None = field(default_factory=Form)
    hours: tuple[float, float] = (-0.5, 4.0)
    tool: str = ""
    user: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Case:
    """A use of a tool, and what must come of it.

    ``expect`` is one of the words above; ``title``, ``samples``, ``projects`` and ``who`` are those
    of its record, ``on`` is the instrument, ``hours`` when it was. What is not given is the usual.
    """

    key: str
    expect: str
    post: Form | Raw | None = None
    pre: Form | Raw | None = None
    bookings: tuple[Booking, ...] = ()
    tool: str = TITAN
    user: str = "ana"
    operator: str = ""
    hours: tuple[float, float | None] = (0.0, 3.0)
    title: str | None = None
    samples: tuple[str, ...] = ("Gold on carbon",)
    projects: tuple[str, ...] = ("PRJ-7", "AF-2025")
    who: str = ""
    on: str = ""


AGREED, REFUSED = Booking(), Booking(Form("Disagree"))
YES_WORDS = (
    "Agree",
    "agree",
    "AGREE",
    "  Agree  ",
    "I agree",
    "I AGREE",
    "Yes",
    "yes",
    "YES",
    "Accept",
    "Consent",
    "True",
    "true",
    ["Agree"],
    ["yes"],
)
"""The affirmative answers of a facility that set none; of a list, its only element."""
REFUSALS = (
    "Disagree",
    "disagree",
    "I disagree",
    "Do not agree",
    "I do not agree",
    "Declined",
    "Decline",
    "No",
    "no",
    "N",
    "Nein",
    "Non",
    "Negative",
    "false",
    "False",
    "0",
    "off",
    "none",
    "Disagree (embargo)",
    "Agree not",
    "not agree",
    "I agree to disagree",
    "Agree?",
    "Agree.",
    "I agree!",
    "Yes, I agree",
    "Yes please",
    "agreed",
    "ok",
    "Y",
    "I consent",
    "\u2610 Agree",
    "\u274c Agree",
    "\u2713 Agree",
    "\u043d\u0435 agree",
    "\u0430gree",
    "Agree\u200b",
    "\uff21\uff47\uff52\uff45\uff45",
    "Agree; Disagree",
    "Agree / Disagree",
    "?",
    "-",
    "maybe",
    "later",
    "ask me",
    "only after 2027",
    "\u540c\u610f",
    "\u0441\u043e\u0433\u043b\u0430\u0441\u0435\u043d",
)
"""Texts that are none of them: each ends the search, whatever was agreed to when booking."""
STRANGE: tuple[Any, ...] = (
    ["Agree", "Disagree"],
    ["Disagree", "Agree"],
    ["Disagree"],
    ["Agree", "Agree"],
    [["Agree"]],
    {"0": {"agree": ""}},
    {"0": {"agree": "Agree"}},
    {"0": {}},
    {},
    {"agree": 0},
    {"agree": True},
    True,
    False,
    0,
    1,
    1.0,
    [],
)
"""Answers of other types than a text: the same."""
BLANK = ("", "   ", "\n\t", None)
"""Nothing was answered: what was said earlier counts."""


def _words() -> list[Case]:
    return [
        *(
            Case(f"yes {n}", POST, Form(one), bookings=(REFUSED,))
            for n, one in enumerate(YES_WORDS)
        ),
        *(Case(f"no {n}", NO, Form(one), bookings=(AGREED,)) for n, one in enumerate(REFUSALS)),
        *(Case(f"type {n}", NO, Form(one), bookings=(AGREED,)) for n, one in enumerate(STRANGE)),
        *(Case(f"blank {n}", BOOKED, Form(one), bookings=(AGREED,)) for n, one in enumerate(BLANK)),
    ]


def _tiers() -> list[Case]:
    pressure = Form(ABSENT, more={"pressure": "0.01"}, samples=())
    return [
        Case("post over all", POST, Form(), Form("Disagree"), (REFUSED,)),
        Case("pre over booking", PRE, None, Form(), (REFUSED,)),
        Case("pre refuses over booking", NO, None, Form("Nein"), (AGREED,)),
        Case("post refuses over pre", NO, Form("Declined"), Form(), (AGREED,)),
        Case("blank post, refused pre", NO, Form(""), Form("Disagree"), (AGREED,)),
        Case("blank post, agreed pre", PRE, Form(""), Form(), (REFUSED,)),
        Case("blank post, blank pre", BOOKED, Form(""), Form(""), (AGREED,)),
        Case("blank everywhere", NO, Form(""), Form(""), (Booking(Form("")),)),
        Case("asked for something else", BOOKED, pressure, None, (AGREED,)),
        Case("question without an answer", BOOKED, Form(ABSENT, samples=()), None, (AGREED,)),
        Case("post alone", POST, Form()),
        Case("pre alone", PRE, None, Form()),
        Case("blank post alone", NO, Form("")),
        Case("nothing at all", UNBOOKED),
        Case("booked without questions", NO, bookings=(Booking(None),)),
        Case("booked without questions, agreed after", POST, Form(), None, (Booking(None),)),
        Case("empty text after", BOOKED, Raw(""), None, (AGREED,)),
        Case("no JSON after", BOOKED, Raw("{broken"), None, (AGREED,)),
        Case("a list after", BOOKED, Raw("[1, 2]"), None, (AGREED,)),
        Case(
            "broken refusal after", NO, Raw('{"data_consent": {"user_input": "Dis'), None, (AGREED,)
        ),
        Case(
            "said twice, differently",
            NO,
            Raw(
                '{"data_consent": {"user_input": "Disagree"},'
                ' "data_consent": {"user_input": "Agree"}}'
            ),
            None,
            (AGREED,),
        ),
        Case("no question, an answer", NO, Raw('{"data_consent": "Disagree"}'), None, (AGREED,)),
        Case("question that is null", BOOKED, Raw('{"data_consent": null}'), None, (AGREED,)),
        Case(
            "answer under another word",
            BOOKED,
            Raw('{"data_consent": {"answer": "No"}}'),
            None,
            (AGREED,),
        ),
    ]


def _bookings_side_by_side() -> list[Case]:
    half, other_half = (0.0, 1.5), (1.5, 3.0)
    more, less = (0.0, 2.0), (2.0, 3.0)
    agreed, refused = Form(), Form("Disagree")
    return [
        Case(
            "the greater part agreed",
            BOOKED,
            bookings=(Booking(agreed, more), Booking(refused, less)),
        ),
        Case(
            "the greater part refused", NO, bookings=(Booking(refused, more), Booking(agreed, less))
        ),
        Case(
            "equal parts disagree",
            NO,
            bookings=(Booking(agreed, half), Booking(refused, other_half)),
        ),
        Case(
            "equal parts disagree, other order",
            NO,
            bookings=(Booking(refused, half), Booking(agreed, other_half)),
        ),
        Case(
            "equal parts agree",
            BOOKED,
            title="first",
            bookings=(
                Booking(Form(title="first"), half),
                Booking(Form(title="second"), other_half),
            ),
        ),
        Case(
            "the same hours twice, one declined",
            NO,
            bookings=(Booking(agreed), Booking(Form("Do not agree"))),
        ),
    ]


def _bookings() -> list[Case]:
    agreed, refused = Form(), Form("Disagree")
    return [
        Case(
            "cancelled agreement", UNBOOKED, bookings=(Booking(agreed, state={"cancelled": True}),)
        ),
        Case(
            "cancelled refusal",
            BOOKED,
            bookings=(Booking(refused, state={"cancelled": True}), AGREED),
        ),
        Case("missed agreement", UNBOOKED, bookings=(Booking(agreed, state={"missed": True}),)),
        Case("somebody else's agreement", UNBOOKED, bookings=(Booking(agreed, user="zoe"),)),
        Case("agreement of another tool", UNBOOKED, bookings=(Booking(agreed, tool=SIGMA),)),
        Case("touching before", UNBOOKED, bookings=(Booking(agreed, (-2.0, 0.0)),)),
        Case("touching after", UNBOOKED, bookings=(Booking(agreed, (3.0, 4.0)),)),
        Case("a minute of overlap", BOOKED, bookings=(Booking(agreed, (-2.0, 1 / 60)),)),
        Case(
            "replaced by a shorter one",
            BOOKED,
            title="short",
            bookings=(
                Booking(Form(title="short"), (0.0, 3.0)),
                Booking(Form("Disagree"), (0.0, 8.0), state={"shortened": True, "descendant": -1}),
            ),
        ),
        Case(
            "title of the booking",
            POST,
            Form(title=""),
            None,
            (Booking(Form(title="as booked")),),
            title="as booked",
        ),
        Case(
            "title of the slot",
            POST,
            Form(title=""),
            None,
            (Booking(None, title="Slot 7"),),
            title="Slot 7",
        ),
        Case("an area too", BOOKED, bookings=(AGREED, Booking(None, tool="area"))),
    ]


def _tools() -> list[Case]:
    return [
        Case("booked parent, used child", BOOKED, bookings=(Booking(tool=LIFT),), tool=ARM, on=ARM),
        Case(
            "booked child, used parent", BOOKED, bookings=(Booking(tool=ARM),), tool=LIFT, on=LIFT
        ),
        Case("booked sibling", BOOKED, bookings=(Booking(tool=STAGE),), tool=ARM, on=ARM),
        Case(
            "refused on the parent, used child",
            NO,
            bookings=(Booking(Form("No"), tool=LIFT),),
            tool=ARM,
        ),
        Case(
            "agreed on both, refused on one",
            NO,
            bookings=(Booking(Form("No"), tool=LIFT), Booking(tool=ARM)),
            tool=ARM,
        ),
        Case(
            "a child that is no instrument",
            BOOKED,
            bookings=(Booking(tool=LIFT),),
            tool=STAGE,
            on=LIFT,
        ),
        Case("a tool of its own", BOOKED, bookings=(AGREED,), tool=SIGMA, on=SIGMA),
        Case("no instrument", IGNORED, Form(), tool=COATER),
    ]


def _people() -> list[Case]:
    return [
        Case("operated by staff", POST, Form(), operator="chen"),
        Case("another user", POST, Form(), user="zoe", who="Zo\u00eb M\u00fcller (zmueller)"),
        Case("a user without a name", POST, Form(), user="bare", who="bare"),
        Case("an old name", POST, Form(), user="john", who="John Smith (jsmith.old)"),
        Case("a reused name", POST, Form(), user="jane", who="Jane Smith (jsmith)"),
        Case("a user who left", POST, Form(), user="dora", who="Dora Left (dora)"),
    ]


def _texts() -> list[Case]:
    pid = {"sample_name": "20.500.1/abc-123", "sample_or_pid": "PID"}
    weld = {"sample_name": "Fe\u2013Cr weld", "periodic_table": ["Cr", "Fe"]}
    broken = (
        '{"data_consent": {"user_input": "Agree"},'
        ' "experiment_title": {"user_input": "half \\ud83d"}}'
    )
    return [
        Case(
            "samples by name and PID",
            POST,
            Form(samples=(pid, weld)),
            samples=("20.500.1/abc-123", "Fe\u2013Cr weld"),
        ),
        Case("no samples", POST, Form(samples=()), samples=()),
        Case(
            "projects",
            POST,
            Form(more={"project_id": "PRJ-8; PRJ-9"}),
            projects=("PRJ-8", "PRJ-9", "AF-2025"),
        ),
        Case("no project", POST, Form(more={"project_id": ""}), projects=("AF-2025",)),
        Case(
            "a title in many scripts",
            POST,
            Form(title="\u00b5m \u6e2c\u8a66 \U0001f52c \u05d0"),
            title="\u00b5m \u6e2c\u8a66 \U0001f52c \u05d0",
        ),
        Case(
            "control characters",
            POST,
            Form(title="bell\u0007 and escape\u001b[31m"),
            title="bell\ufffd and escape\ufffd[31m",
        ),
        Case(
            "half a character",
            POST,
            Raw(broken),
            title="half \ufffd",
            samples=(),
            projects=("AF-2025",),
        ),
        Case(
            "a purpose as long as a book", POST, Form(more={"experiment_purpose": "word " * 80_000})
        ),
        Case(
            "markup",
            POST,
            Form(title='<script>alert(1)</script> & "x"'),
            title='<script>alert(1)</script> & "x"',
        ),
    ]


def _times() -> list[Case]:
    return [
        Case("a second", POST, Form(), hours=(0.0, 1 / 3600)),
        Case("over midnight", POST, Form(), hours=(0.0, 11.9)),
        Case("microseconds", POST, Form(), hours=(0.0, 3.0000001)),
        Case("reversed", WRONG, Form(), hours=(3.0, 0.0)),
        Case("without length", WRONG, Form(), hours=(1.0, 1.0)),
        Case("running", RUNNING, None, Form(), hours=(0.0, None)),
    ]


CASES: tuple[Case, ...] = (
    *_words(),
    *_tiers(),
    *_bookings_side_by_side(),
    *_bookings(),
    *_tools(),
    *_people(),
    *_texts(),
    *_times(),
)
