"""The command that tunes a recogniser to the NIR and VIS faces of a prepared database."""

from functools import partial
from pathlib import Path

from pcfh.cli.app import Settings, progress_bar, show_stage
from pcfh.recipes.tuning import TuningJob, carry_out
from pcfh.recognisers.tuning.base import find_rival
from pcfh.recognisers.tuning.tune import TUNED_FILE
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped


def tune(  # noqa: PLR0913 - one argument per option of the command
    data: Path,
    run: Path,
    *,
    rival: str = "contrastive",
    protocol: str = "1",
    settings: Settings = (),
    recognizer: Path | None = None,
    generator: Path | None = None,
    cache: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> int:
    """Tune a Light CNN to NIR and VIS faces, in one of the ways that the paper's tables compare.

    A share of the training people is kept out to find the number of steps; then all learn. Use the result by
    pcfh evaluate --tuned NAME=RUN/tuned.safetensors, which refuses people whom it has learnt from. What
    the frozen layers make of each capture is kept, so the same command goes on where one was stopped.

    Args:
        data: folder made by pcfh prepare.
        run: folder to write tuned.safetensors to.
        rival: contrastive (enrolled VIS templates stay valid), tuned, minus-mean, after-trivet,
            after-trivet-softmax, after-idr-128, after-idr-64, after-kdsr, after-kdsr-lbp, after-csh-low-rank;
            on generated images: pcfh-tuned, after-adfl, after-csh.
        protocol: whose training people to take.
        settings: of the rival, as steps=100.
        recognizer: weights of a Light CNN to begin with; the shipped one if not given.
        generator: generator.safetensors, for the last three.
        cache: folder of what the frozen layers make of the captures, RUN/cache if not given.
        seed: of the people kept out, of batches and of changes of the faces.
        device: auto, cpu, cuda or cuda:1.
    """
    keep_freed_memory()
    job = TuningJob(
        prepared=data,
        protocol=protocol,
        out=run / TUNED_FILE,
        rival=find_rival(rival, settings),
        recognizer=recognizer or shipped("recognizer"),
        cache=cache or run / "cache",
        generator=generator,
        seed=seed,
        device=device,
    )
    with progress_bar("done", 1) as bar:
        tuning = carry_out(job, partial(show_stage, bar))
    if tuning.looks:
        print("People kept out, NIR against VIS:")
    for one in tuning.looks:
        vr = "" if one.vr1 is None else f", VR@FAR=1% {100 * one.vr1:.1f} %"
        print(
            f"step {one.step:4d}: Rank-1 {100 * one.rank1:.1f} %{vr}, pairs in order {100 * one.order:.1f} %"
        )
    print(f"Done: {tuning.steps} steps, {tuning.processor_seconds:.0f} s of processor time: {job.out}")
    return 0
