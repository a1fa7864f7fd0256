"""What to train a generator on, and the checks that need no networks, so that mistakes show at once."""

from dataclasses import dataclass
from pathlib import Path

from pcfh.errors import UserError
from pcfh.methods.base import Config, Needs, find_method
from pcfh.methods.find import validate


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What to train.

    Attributes:
        prepared: folder that ``pcfh prepare`` made.
        protocol: whose training list to use, e.g. "1".
        run: the run's folder.
        config: the configuration.
        recognizer: file of F; for identity terms and for validation.
        beside: further recognisers that F is made of, in equal parts; see ``pcfh.recognisers.teachers``.
        truth: root of the rendered database that was prepared, where the objective asks for true images.
        start: generator to start from (fine-tune), of the same method and sizes; None starts from the
            seed's weights.
        extend: whether the run may train past the end that was planned when it began.
    """

    prepared: Path
    protocol: str
    run: Path
    config: Config
    recognizer: Path | None = None
    beside: tuple[Path, ...] = ()
    truth: Path | None = None
    start: Path | None = None
    extend: bool = False

    @property
    def teachers(self) -> tuple[Path, ...]:
        """All that F is made of; none without a recogniser."""
        return () if self.recognizer is None else (self.recognizer, *self.beside)

    @property
    def needs(self) -> Needs:
        """What its batches must bring."""
        return find_method(self.config.training.method).needs(self.config)


def check(job: TrainingJob, processes: int = 1) -> None:
    """Refuses a job whose settings or files cannot do.

    Raises:
        UserError: says what was expected and what to do.
    """
    validate(job.config, processes)
    if not job.prepared.is_dir():
        raise UserError(f"{job.prepared}: no such folder; expected one that pcfh prepare has made")
    if job.recognizer is not None and not job.recognizer.is_file():
        raise UserError(f"{job.recognizer}: no such file; give the path of a Light CNN's weights")
    if job.beside and job.recognizer is None:
        raise UserError("--beside names recognisers beside that of --recognizer; give that one, too")
    if job.start is not None and not job.start.is_file():
        raise UserError(f"{job.start}: no such file; expected the generator.safetensors of a training run")
    _check_recognizer(job)
    _check_truth(job)


def _check_recognizer(job: TrainingJob) -> None:
    if job.recognizer is not None:
        return
    held_out = "training.validation" if job.config.training.validation else None
    for key in (job.needs.recognizer, held_out):
        if key:
            raise UserError(
                f"{key}={_value(job.config, key)} needs a recogniser: --recognizer FILE (a Light CNN "
                f"checkpoint), or train without it by {key}=0"
            )


def _check_truth(job: TrainingJob) -> None:
    key = job.needs.truth
    if key and job.truth is None:
        raise UserError(
            f"{key}={_value(job.config, key)} needs true images: --truth DATABASE (the rendered one that was "
            f"prepared), or train without them by {key}=0"
        )
    if job.truth is not None and not key:
        raise UserError(
            f"--truth {job.truth}: no term of these settings looks at true images (objective.lambda_truth is "
            "0); set it, or leave --truth out"
        )


def _value(config: Config, key: str) -> object:
    """The value of a setting."""
    group, _, name = key.partition(".")
    return getattr(getattr(config, group), name)
