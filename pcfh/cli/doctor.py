"""The command that says what works on this machine and how to mend the rest."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tabulate import tabulate

from pcfh import __version__
from pcfh.doctor import Finding, checks, tried


def doctor(
    *, face_model: Path | None = None, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Try everything on this machine, and print what is missing with the command that mends it.

    The exit code is 0 when training, translating and evaluating work, else 1. Nothing is downloaded.

    Args:
        face_model: folder FaceXModel of ICT-FaceKit, for the renderer.
        as_json: print JSON for programs.
    """
    findings = [tried(*check) for check in checks(face_model)]
    works = all(finding.state != "FAILS" for finding in findings)
    if as_json:
        report = {"version": __version__, "works": works, "findings": [f._asdict() for f in findings]}
        print(json.dumps(report, indent=2))
    else:
        print(report_text(findings))
        print(f"\n{'Training, translating and evaluating work.' if works else 'The core does not work.'}")
    return 0 if works else 1


def report_text(findings: Sequence[Finding]) -> str:
    """A table of what was found, and below it how to mend what does not work."""
    text = tabulate([finding[:4] for finding in findings], tablefmt="plain")
    for title, state in (("To mend", "FAILS"), ("To add, where wanted", "no")):
        remedies = [("", finding.name, finding.remedy) for finding in findings if finding.state == state]
        if remedies:
            text += f"\n\n{title}\n{tabulate(remedies, tablefmt='plain')}"
    return text
