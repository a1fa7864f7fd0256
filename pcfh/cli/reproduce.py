"""The command that makes the paper's tables from raw database folders."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Literal

from pcfh.cli.app import Names, Settings, Several, progress_bar, show_stage, stop_signals
from pcfh.devices import gpu_gigabytes
from pcfh.errors import UserError
from pcfh.recipes.experiment import ExperimentConfig, RecipeCallbacks, TrainingBudget, Until, require_sound
from pcfh.recipes.runner import reproduce as run_reproduction
from pcfh.recipes.table_report import hours, markdown, write_table
from pcfh.runtime import keep_freed_memory, start_runtime
from pcfh.shipped import shipped


def reproduce(  # noqa: PLR0913 - one argument per option of the command
    table: Literal["table1", "table2", "table3", "table4"],
    out: Path,
    *,
    casia: Path | None = None,
    oulu: Path | None = None,
    buaa: Path | None = None,
    protocol: Names = (),
    preset: str = "cpu",
    steps: int | None = None,
    images: int | None = None,
    settings: Settings = (),
    seeds: Several = (),
    rows: Names = (),
    recognizer: Path | None = None,
    outside: Names = (),
    curve: int = 0,
    landmarks: Literal["blaze", "fan", "given"] = "blaze",
    pose: bool = True,
    draw_seed: int = 0,
    work: Path | None = None,
    until: Until = "table",
    workers: int = 0,
    device: str = "auto",
    batch: int = 32,
    resamples: int = 1000,
) -> int:
    """Make one of the paper's tables, our numbers beside the paper's, from raw database folders.

    Prepares, trains each row with each seed, evaluates, and writes OUT/table.md, table.tex, results.json and
    table.html. Called again, it resumes: what is done is not done again, and the table holds all rows and
    seeds that are done. On several GPUs: one command per row or seed, or torchrun with --until trained.

    Args:
        table: table1 (CASIA, one fold), table2 (CASIA, all folds), table3 (BUAA) or table4 (Oulu-CASIA).
        out: folder to write to.
        casia: CASIA NIR-VIS 2.0, or a rendered database; models are always trained on it. Where it lies
            prepared below WORK, or was unpacked there, it need not be named.
        oulu: Oulu-CASIA NIR-VIS, of table4.
        buaa: BUAA-VisNir, of table3.
        protocol: fold of CASIA to train on, 1 if not given; table2 takes several, all if not given.
        preset: of PCFH: cpu, paper-144, paper-256 or another; on a GPU with a batch that fills it. Pix2Pix
            and CycleGAN take their narrow presets up to 128 pixels, else their published ones, and see as
            many images.
        steps: of PCFH's training, in the place of the preset's; the others see as many images.
        images: NIR images that each training sees, whatever its batch, in the place of steps.
        settings: overrides as of pcfh train. Size, precision, flip, vary_nir, levels, warp cache, logs and
            checkpoints of training apply to all rows, baseline.* to Pix2Pix and CycleGAN, all others, such as
            objective.lambda_id=0.001, to the rows of PCFH only; the identity loss uses --recognizer.
        seeds: of training, joined by commas or blanks; 0 1 2 if not given, 0 for table2.
        rows: what to train and evaluate, joined by commas or blanks: light-cnn, pix2pix, cyclegan,
            pcfh-no-awm, pcfh-no-mic, pcfh; or another method, my_module:MyMethod among them.
        recognizer: Light CNN checkpoint, recognizer.safetensors or ONNX model; the shipped one if not
            given.
        outside: recognisers that no training has seen, by which every row is scored, too: dlib, ONNX models,
            files of weights, or my_module:MyRecognizer.
        curve: how many generators each training keeps along the way, to score each on 1,000 probes.
        landmarks: what finds faces and landmarks to prepare; given takes those that lie with the database.
        pose: also find landmarks in generated faces, with the default detector.
        draw_seed: of the people of Oulu-CASIA and BUAA who are tested.
        work: folder of prepared databases and trained rows, if not OUT; tables that share it share their
            models.
        until: prepared or trained to stop before the table.
        workers: processes that prepare; 0 takes one per processor core.
        device: auto, cpu, cuda or cuda:1.
        batch: faces computed at once in evaluation.
        resamples: draws of people of each interval.
    """
    databases = {"casia": casia, "oulu": oulu, "buaa": buaa}
    config = ExperimentConfig(
        table=table,
        out=out,
        work=work or out,
        databases={name: root for name, root in databases.items() if root is not None},
        protocols=protocol or (("all",) if table == "table2" else ("1",)),
        budget=TrainingBudget(
            preset=preset,
            steps=steps,
            images=images,
            curve=curve,
            settings=settings,
            gigabytes=gpu_gigabytes(device),
        ),
        recognizer=recognizer or shipped("recognizer"),
        outside=outside,
        rows=rows,
        seeds=seeds,
        landmarks=landmarks,
        pose=pose,
        draw_seed=draw_seed,
        workers=workers or os.cpu_count() or 1,
        device=device,
        batch=batch,
        resamples=resamples,
        until=until,
    )
    return _carry_out(config)


def _carry_out(config: ExperimentConfig) -> int:
    """Makes a table with a progress bar and says what came of it."""
    require_sound(config)  # before there is a progress bar
    keep_freed_memory()
    with start_runtime(config.device) as runtime, stop_signals() as stopped:
        if runtime.processes > 1 and config.until != "trained":
            raise UserError(
                "several processes can only train: first the plain command with --until prepared, then "
                "torchrun with --until trained, then the plain command for the table"
            )
        with progress_bar("", 1, shown=runtime.is_first) as bar:

            def say(line: str) -> None:
                if runtime.is_first:
                    bar.write(line, file=sys.stderr)

            callbacks = RecipeCallbacks(
                say=say, on_progress=partial(show_stage, bar), should_stop=lambda: bool(stopped)
            )
            table = run_reproduction(config, runtime, callbacks)
    if table is not None:
        written = write_table(config, table)
        print(markdown(table))
        print(f"Training took {hours(table.cost.processor_seconds)} of processor time in all.")
        print(f"Written to {config.out}; look at {written}")
    elif stopped:
        print("Stopped; the same command resumes it.", file=sys.stderr)
        return 128 + stopped[0]
    elif runtime.is_first:
        print(f"Done until {config.until}: {config.work}")
    return 0
