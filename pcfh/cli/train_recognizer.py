"""Commands of recognition: train-recognizer."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pcfh.cli.app import progress_bar, stop_signals
from pcfh.config import Precision
from pcfh.devices import usable_device
from pcfh.recognisers.training.train_lightcnn import RECOGNIZER, RecognizerJob, RecognizerRecipe
from pcfh.recognisers.training.train_lightcnn import train_recognizer as run_training
from pcfh.runtime import keep_freed_memory
from pcfh.training.loop import Hooks

_DEFAULT = RecognizerRecipe()


def train_recognizer(  # noqa: PLR0913 - one argument per option of the command
    data: Path,
    run: Path,
    *,
    protocol: str = "1",
    arch: Literal["lightcnn9", "lightcnn29", "lightcnn29v2"] = "lightcnn9",
    steps: int = _DEFAULT.steps,
    batch: int = _DEFAULT.batch,
    learning_rate: float = _DEFAULT.learning_rate,
    loss: Literal["cosface", "softmax"] = "cosface",
    margin: float = _DEFAULT.margin,
    ema: float = _DEFAULT.ema,
    precision: Precision = _DEFAULT.precision,
    validation: float = _DEFAULT.validation,
    nir_share: float = _DEFAULT.nir_share,
    seed: int = _DEFAULT.seed,
    init: Path | None = None,
    device: str = "auto",
) -> int:
    """Train a Light CNN on the faces of a prepared database, for use as a recogniser.

    Called again with the same settings, it goes on where it stopped. Some of the people are kept out of
    training, and the recogniser is tried on them every 500 steps.

    Args:
        data: folder made by pcfh prepare; crops of 144 pixels are best.
        run: folder of this run: checkpoint, recognizer.safetensors, TensorBoard.
        protocol: whose training people to take, e.g. 1 for the first fold; all takes everyone, also those
            whom a test would need.
        arch: lightcnn9 trains on processors; 29 and 29v2 take three times as long a step.
        steps: updates of the weights.
        batch: faces of one step.
        learning_rate: of AdamW, at its highest.
        loss: cosface (cosine softmax with a margin), or softmax with dropout.
        margin: of cosface, as a cosine.
        ema: decay of the moving average of the weights; 0 takes the last ones.
        precision: bf16 (mixed), fp32, or auto: the former where the device has arithmetic for it.
        validation: share of the people kept out of training.
        nir_share: of the training faces that are NIR captures, 0 to 1; as it is, VIS captures alone.
        seed: of everything random.
        init: weights of the same architecture to start from, published ones or our own.
        device: auto, cpu, cuda or cuda:1.
    """
    recipe = RecognizerRecipe(
        arch=arch,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        loss=loss,
        margin=margin,
        ema=ema,
        precision=precision,
        validation=validation,
        nir_share=nir_share,
        seed=seed,
    )
    job = RecognizerJob(prepared=data, protocol=protocol, run=run, recipe=recipe, start=init)
    chosen = usable_device(device)
    keep_freed_memory()
    with stop_signals() as stopped, progress_bar("steps", steps) as bar:

        def show(step: int, values: Mapping[str, float]) -> None:
            if not bar.n:  # steps of an earlier call took none of this one's time
                bar.initial = bar.n = bar.last_print_n = step - 1
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{values['loss/people']:.2f}", refresh=False)
            trial = [
                f"{k.removeprefix('validation/')} {v:.4f}" for k, v in values.items() if "validation" in k
            ]
            if trial:
                bar.write(f"step {step}: people not trained on: {', '.join(trial)}", file=sys.stderr)

        state = run_training(job, chosen, Hooks(on_step=show, should_stop=lambda: bool(stopped)))
    if state.step < steps:
        print(f"Stopped at step {state.step}; the same command goes on.", file=sys.stderr)
        return 128 + stopped[0]
    print(f"Done: {run / RECOGNIZER}")
    return 0
