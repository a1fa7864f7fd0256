"""The command that draws the paper's figures of faces."""

import sys
from pathlib import Path
from typing import Literal

from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.recipes.figures import FigureJob, figure


def figures(  # noqa: PLR0913 - one argument per option of the command
    work: Path,
    out: Path,
    *,
    number: Literal[4, 5] = 4,
    database: Literal["casia", "buaa", "oulu"] = "casia",
    protocol: str = "1",
    seed: int = 0,
    columns: int = 8,
    draw_seed: int = 0,
    device: str = "auto",
) -> int:
    """Draw the paper's figure 4 (all methods) or 5 (the ablations) from rows that pcfh reproduce has trained.

    Args:
        work: folder that pcfh reproduce worked in (its --work, or its OUT).
        out: JPEG file to write.
        number: 4, different people and every method that is trained; 5, one person in several poses and
            expressions, PCFH and its ablations.
        database: whose probes are shown.
        protocol: fold of CASIA that the rows were trained on.
        seed: of their training.
        columns: how many faces.
        draw_seed: of the choice of faces.
        device: auto, cpu, cuda or cuda:1.
    """
    if columns < 1:
        raise UserError(f"--columns {columns}: expected at least 1")
    job = FigureJob(
        number=number,
        work=work,
        database=database,
        fold=protocol,
        seed=seed,
        columns=columns,
        draw_seed=draw_seed,
        device=device,
    )
    write_atomically(out, figure(job, say=lambda line: print(line, file=sys.stderr)))
    print(f"Written to {out}")
    return 0
