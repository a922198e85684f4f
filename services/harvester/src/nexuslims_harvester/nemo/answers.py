"""Reading the answers to NEMO's questions, however incomplete the form is.

The shape is the same in ``run_data``, ``pre_run_data`` (JSON in a text) and ``question_data`` (an
object): ``{"experiment_title": {"type": ..., "user_input": ...}, ...}``. An unanswered question has
no ``user_input``, an unticked radio in a group no key at all, a blank text area is null, and a form
that staff closed holds empty texts.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nexuslims_harvester.text import readable_text

CONSENT: Final = "data_consent"
UNREADABLE: Final = "(a form that cannot be read)"
"""Stands for the answer in a form that asked for consent and is damaged: it may be a refusal."""
FIELDS: Final = (
    CONSENT,
    "experiment_title",
    "experiment_purpose",
    "project_id",
    "sample_group",
    "sample_name",
    "sample_or_pid",
    "sample_details",
    "periodic_table",
)

_DEPTH: Final = 3
"""The group of samples, a sample, its elements."""


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """One entry of the group of samples."""

    name: str = ""
    pid: str = ""
    details: str = ""
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What somebody answered; blank where nothing was. ``consent`` is as it was given."""

    consent: Any = None
    title: str = ""
    purpose: str = ""
    projects: tuple[str, ...] = ()
    samples: tuple[SampleAnswer, ...] = ()


NOTHING: Final = Answers()
"""Nothing was answered."""


def read_answers(data: Any) -> Answers | None:
    """Read what a form holds.

    Parameters
    ----------
    data
        ``run_data``, ``pre_run_data`` or ``question_data`` as NEMO gave it.

    Returns
    -------
    Answers or None
        None if it does not carry our questions: consent is not asked for.
    """
    form = _form(data)
    if CONSENT not in form:
        return None
    return Answers(
        consent=form[CONSENT],
        title=_text(form.get("experiment_title")),
        purpose=_text(form.get("experiment_purpose")),
        projects=_listed(_text(form.get("project_id"))),
        samples=_samples(form),
    )


def used(data: Any) -> dict[str, Any]:
    """Return the answers that we use, as they were given, without the questions' texts.

    What is left is read as the whole was: ``read_answers(used(data)) == read_answers(data)``.
    """
    return {name: {"user_input": answer} for name, answer in _form(data).items()}


def _form(data: Any) -> dict[str, Any]:
    """Return the answers that we use, by name, as plain values; none, if it is no form at all."""
    if isinstance(data, str):
        try:
            data = json.loads(data, object_pairs_hook=_each_once) if data.strip() else {}
        except (ValueError, RecursionError):
            return {CONSENT: UNREADABLE} if CONSENT in data else {}
    form = data if isinstance(data, Mapping) else {}
    return {name: _plain(_answer(form, name), _DEPTH) for name in FIELDS if name in form}


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that answers one question twice: nobody can tell which answer counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _answer(form: Mapping[str, Any], name: str) -> Any:
    """Return an answer; what stands in place of the question for consent is an answer to it."""
    question = form[name]
    if isinstance(question, Mapping):
        return question.get("user_input")
    return question if name == CONSENT else None


def _samples(form: Mapping[str, Any]) -> tuple[SampleAnswer, ...]:
    group = form.get("sample_group")
    if isinstance(group, Mapping):
        entries = [group[key] for key in sorted(group, key=_place)]
    elif isinstance(group, list):
        entries = group
    else:
        entries = [form]
    samples = (_sample(entry) for entry in entries if isinstance(entry, Mapping))
    return tuple(sample for sample in samples if sample != SampleAnswer())


def _place(key: str) -> tuple[int, str]:
    return (int(key) if key.isdecimal() else 0, key)


def _sample(entry: Mapping[str, Any]) -> SampleAnswer:
    called = _text(entry.get("sample_name"))
    by_pid = _text(entry.get("sample_or_pid")).casefold() == "pid"
    return SampleAnswer(
        name="" if by_pid else called,
        pid=called if by_pid else "",
        details=_text(entry.get("sample_details")),
        elements=_elements(entry.get("periodic_table")),
    )


def _elements(answer: Any) -> tuple[str, ...]:
    """Chemical symbols: a list, or a text with any separators."""
    listed = answer if isinstance(answer, list) else re.split(r"[^A-Za-z]+", _text(answer))
    return tuple(dict.fromkeys(symbol for one in listed if (symbol := _text(one))))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in re.split(r"[,;\n]", text))))


def _plain(answer: Any, depth: int) -> Any:
    """Return what an event can hold of an answer; deeper than a form goes, nothing is."""
    if isinstance(answer, float):
        return answer if math.isfinite(answer) else str(answer)
    if isinstance(answer, Mapping) and depth:
        return {readable_text(str(key)): _plain(one, depth - 1) for key, one in answer.items()}
    if isinstance(answer, list) and depth:
        return [_plain(one, depth - 1) for one in answer]
    if isinstance(answer, str):
        return readable_text(answer)
    return answer if isinstance(answer, int) else None


def _text(answer: Any) -> str:
    return str(answer).strip() if isinstance(answer, str | int | float) else ""
