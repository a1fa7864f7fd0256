"""The command that adapts a generator to a camera."""

import sys
from functools import partial
from pathlib import Path
from typing import Literal

from tabulate import tabulate

from pcfh.cli.app import Settings, progress_bar, resumed, say, stop_signals
from pcfh.cli.train import StepBar
from pcfh.config import assigned, changed, checked
from pcfh.errors import UserError
from pcfh.methods.pcfh.adaptation import AdaptConfig
from pcfh.methods.train import GENERATOR
from pcfh.parallel import usable_workers
from pcfh.recipes.adaptation import PREPARED, SHEET, Adapted, AdaptJob
from pcfh.recipes.adaptation import adapt as run_adapt
from pcfh.runtime import keep_freed_memory, start_runtime
from pcfh.shipped import generator_at, shipped
from pcfh.training.loop import Callbacks


def adapt(  # noqa: PLR0913 - one argument per option of the command
    nir: Path,
    vis: Path,
    out: Path,
    *,
    generator: Path | None = None,
    recognizer: Path | None = None,
    minutes: float = 5.0,
    steps: int | None = None,
    settings: Settings = (),
    landmarks: Path | None = None,
    backend: Literal["blaze", "fan"] = "blaze",
    min_score: float = 0.5,
    workers: str = "0",
    device: str = "auto",
) -> int:
    """Adapt a generator to a camera: its NIR pictures and a pile of VIS portraits, no names, no pairs.

    Some NIR faces are held back. OUT/generator.safetensors is the adapted generator where it does better on
    these, else the one to begin with. The same command resumes. Pictures that cannot be used are listed at
    the end, the rest goes on; the exit code is 1 then.

    Args:
        nir: folder of near-infrared pictures of the camera.
        vis: folder of visible-light portraits, of the same people or others.
        out: folder to write to.
        generator: generator.safetensors to begin with, of the method pcfh; the shipped one for photographs if
            not given.
        recognizer: weights of a Light CNN that keeps faces the people they are; the shipped one if not given.
        minutes: to train on this machine.
        steps: to train, in the place of minutes.
        settings: overrides such as adaptation.lambda_keep=4 or training.seed=1.
        landmarks: CSV file of 68 landmarks per picture, by paths below the folder that holds both folders;
            then nothing is detected.
        backend: what finds faces and landmarks.
        min_score: faces found with less confidence count as none.
        workers: processes that find faces; 0 takes one per processor core.
        device: auto, cpu, cuda or cuda:1.
    """
    for name, value in (("minutes", minutes), ("steps", steps)):
        if value is not None and not value > 0:
            raise UserError(f"--{name} {value:g}: expected a positive number")
    # A signal before the first step ends the program at once: the faces found so far are kept.
    begun: list[bool] = []
    with stop_signals(begun) as stopped:
        job = AdaptJob(
            nir=nir,
            vis=vis,
            out=out,
            generator=generator_at(generator),
            recognizer=recognizer or shipped("recognizer"),
            minutes=minutes,
            steps=steps,
            config=checked(changed(AdaptConfig(), assigned(settings))),
            landmarks=landmarks,
            backend=backend,
            min_score=min_score,
            workers=usable_workers(workers),
        )
        keep_freed_memory()
        with start_runtime(device) as runtime, progress_bar("pictures", None) as faces:
            bar = StepBar(0, begun)
            callbacks = Callbacks(
                on_step=bar.show_losses,
                on_note=partial(say, file=sys.stderr),
                should_stop=lambda: bool(stopped),
            )
            with bar:
                adapted = run_adapt(
                    job, runtime, on_faces=resumed(faces), on_plan=bar.plan, callbacks=callbacks
                )
    if adapted is None:
        print("Stopped; the same command resumes it.", file=sys.stderr)
        return 128 + stopped[0]
    return _report(adapted, out)


def _report(adapted: Adapted, out: Path) -> int:
    """Says what came of it and gives the exit code."""
    print(
        f"{adapted.steps} steps on {adapted.nir} near-infrared faces and {adapted.portraits} portraits; "
        f"{adapted.held_back} near-infrared faces held back:"
    )
    old, new = adapted.before, adapted.after
    rows = [
        ("own face: cosine to the input", f"{old.own:.3f}", f"{new.own:.3f}"),
        ("distance from the portraits' colours", f"{old.colour:.1f}", f"{new.colour:.1f}"),
        ("distance from the portraits' detail", f"{old.detail:.2f}", f"{new.detail:.2f}"),
        ("error of the input rebuilt (L_rec)", f"{old.rebuilt:.1f}", f"{new.rebuilt:.1f}"),
    ]
    print(tabulate(rows, ("", "before", "adapted"), tablefmt="pipe", disable_numparse=True))
    print(f"Faces to look at: {out / SHEET}")
    if adapted.taken == "after":
        print(f"The adapted generator is better: {out / GENERATOR}")
    else:
        print(f"The adapted generator is not better, so the old one stays: {out / GENERATOR}")
    for note in adapted.notes:
        say(note, file=sys.stderr)
    for drop in adapted.dropped:
        say(f"{drop.path}: {drop.reason}", file=sys.stderr)
    if adapted.dropped:
        say(f"{len(adapted.dropped)} pictures were not used; see {out / PREPARED}", file=sys.stderr)
    return 1 if adapted.dropped else 0
