"""The command that says what works on this machine and how to mend the rest."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pcfh import __version__
from pcfh.doctor import Finding, core_works, examine


def doctor(
    *, face_model: Path | None = None, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Try everything on this machine, and print what is missing with the command that mends it.

    The exit code is 0 when training, translating and evaluating work, else 1. Nothing is downloaded.

    Args:
        face_model: folder FaceXModel of ICT-FaceKit, for the renderer.
        as_json: print JSON for programs.
    """
    findings = examine(face_model)
    works = core_works(findings)
    if as_json:
        report = {"version": __version__, "works": works, "findings": [asdict(f) for f in findings]}
        print(json.dumps(report, indent=2))
    else:
        print(report_text(findings))
    return 0 if works else 1


def report_text(findings: Sequence[Finding]) -> str:
    """A table of what was found, and below it how to mend what does not work."""
    wide = max(len(finding.name) for finding in findings)
    lines, group = [], ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            lines += ["", group]
        lines.append(f"  {finding.name:<{wide}}  {finding.state:<5}  {finding.detail}")
    broken = [finding for finding in findings if finding.state == "FAILS"]
    missing = [finding for finding in findings if finding.state == "no"]
    for title, part in (("To mend", broken), ("To add, where wanted", missing)):
        if part:
            lines += ["", title, *(f"  {finding.name:<{wide}}  {finding.remedy}" for finding in part)]
    verdict = "The core does not work." if broken else "Training, translating and evaluating work."
    return "\n".join([*lines[1:], "", verdict])
