"""What ``nexuslims doctor`` prints."""

from collections.abc import Sequence
from typing import Any

from nexuslims_shared.cli import asynchronous
from nexuslims_shared.cli.output import print_json, print_table
from nexuslims_shared.doctor import (
    Finding,
    Repaired,
    examine,
    examine_until_well,
    exit_code,
    repair,
)
from nexuslims_shared.health import Outcome


def diagnose(*, repairing: bool, patience: float, as_json: bool) -> int:
    """Check everything, and mend what can be mended if asked to; print it, return the exit code.

    Parameters
    ----------
    repairing
        Whether to mend.
    patience
        Seconds that repairs may take to show.
    as_json
        Whether to print JSON in place of tables.
    """
    findings, done = asynchronous.run(_look(repairing=repairing, patience=patience))
    if as_json:
        print_json(_document(findings, done, repairing=repairing))
    else:
        _print(findings, done, repairing=repairing)
    return exit_code(findings)


async def _look(*, repairing: bool, patience: float) -> tuple[list[Finding], list[Repaired]]:
    findings = await examine()
    if not repairing:
        return findings, []
    done = await repair(findings)
    return (await examine_until_well(patience) if done else findings), done


def _document(
    findings: Sequence[Finding], done: Sequence[Repaired], *, repairing: bool
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ok": not exit_code(findings),
        "findings": [
            {
                "what": one.what,
                "result": one.outcome,
                "problem": one.problem,
                "detail": one.detail,
                "repair": one.repair.name if one.repair else "",
            }
            for one in findings
        ],
    }
    if repairing:
        document["repairs"] = [
            {"repair": one.repair, "done": one.done, "what": one.what} for one in done
        ]
    return document


def _print(findings: Sequence[Finding], done: Sequence[Repaired], *, repairing: bool) -> None:
    if repairing:
        rows = [(one.repair, one.what if one.done else f"not done: {one.what}") for one in done]
        print_table(("repair", "what was done"), rows, nothing="nothing could be repaired")
    results = [(one.what, _text(one), one.detail) for one in findings]
    print_table(("checked", "result", "detail"), results)


def _text(finding: Finding) -> str:
    if finding.outcome is Outcome.UNKNOWN:
        return f"could not look: {finding.problem}"
    return finding.problem or "ok"
