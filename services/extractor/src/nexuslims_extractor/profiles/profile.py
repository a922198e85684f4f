"""A profile, and how it changes what was read of a file."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from nexuslims_contracts.text import clean_text
from nexuslims_formats.model import ParsedFile, Signal, Value

log = logging.getLogger(__name__)

Parser: TypeAlias = Callable[[Signal, Mapping[str, Any], Path], Signal]
"""Takes a signal, the file's native metadata and its path; returns the signal, changed or not."""
Transformation: TypeAlias = Callable[[Value], Value | None]
"""Takes the value of a core field; returns what it should be, None to leave it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of one instrument; applied in the order of the fields below.

    Parameters
    ----------
    instrument
        Its PID.
    version
        Raise it when the outcome for a file changes; it is kept with each dataset.
    parsers
        Functions that look at the native metadata, or the path, and change the signal.
    transformations
        By name of a core field: what to make of its value.
    metadata
        Core fields for files that do not tell them; a quantity is ``(number, unit)``.
    extensions
        Further fields, in every dataset.
    warnings
        Core fields that this instrument's software is known to fill unreliably.
    """

    instrument: str
    version: str = "1"
    parsers: tuple[Parser, ...] = ()
    transformations: Mapping[str, Transformation] = field(default_factory=dict)
    metadata: Mapping[str, Value] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def with_profile(parsed: ParsedFile, profile: Profile, path: Path) -> ParsedFile:
    """Apply a profile to every signal of a file.

    A function of the profile that fails costs what it would have added, and is reported.

    Parameters
    ----------
    parsed
        What an extractor read.
    profile
        What is known of the instrument.
    path
        The file.
    """
    signals = []
    for signal in parsed.signals:
        changed, problems = _parse(signal, profile, parsed.native, path)
        changed, more = _transform(changed, profile)
        signals.append(
            replace(
                changed,
                metadata={**profile.metadata, **changed.metadata},
                extensions={
                    **changed.extensions,
                    **profile.extensions,
                    "profile": f"{profile.instrument} {profile.version}",
                },
                warnings=tuple(dict.fromkeys((*changed.warnings, *profile.warnings))),
                problems=(*changed.problems, *problems, *more),
            )
        )
    return replace(parsed, signals=tuple(signals))


def with_problem(parsed: ParsedFile, problem: str) -> ParsedFile:
    """Have a file that was read be partial, with a reason.

    Parameters
    ----------
    parsed
        What an extractor read.
    problem
        What is lacking, and why.
    """
    signals = (replace(one, problems=(*one.problems, problem)) for one in parsed.signals)
    return replace(parsed, signals=tuple(signals))


def _parse(
    signal: Signal, profile: Profile, native: Mapping[str, Any], path: Path
) -> tuple[Signal, list[str]]:
    problems = []
    for parser in profile.parsers:
        try:
            changed = parser(signal, native, path)
        except Exception as error:  # noqa: BLE001 - it is the facility's code, and is reported
            problems.append(_problem(profile, parser, error))
        else:
            if isinstance(changed, Signal):
                signal = changed
            else:
                problems.append(_problem(profile, parser, TypeError("it returned no Signal")))
    return signal, problems


def _transform(signal: Signal, profile: Profile) -> tuple[Signal, list[str]]:
    metadata, problems = dict(signal.metadata), []
    for name, transform in profile.transformations.items():
        if name not in metadata:
            continue
        try:
            value = transform(metadata[name])
        except Exception as error:  # noqa: BLE001 - it is the facility's code, and is reported
            problems.append(_problem(profile, transform, error, name))
            continue
        if value is None:
            del metadata[name]
        else:
            metadata[name] = value
    return replace(signal, metadata=metadata), problems


def _problem(
    profile: Profile, function: Callable[..., object], error: Exception, of: str = ""
) -> str:
    log.debug("profile of %s", profile.instrument, exc_info=error)
    name = of or getattr(function, "__name__", repr(function))
    return clean_text(f"profile of {profile.instrument}: {name}: {type(error).__name__}: {error}")
