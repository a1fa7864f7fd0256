"""Tunes a recogniser by a rival on the training people of a prepared database, for a command or a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcfh.devices import usable_device
from pcfh.errors import UserError
from pcfh.evaluation.evaluation_data import source_size
from pcfh.evaluation.generated import generated_crops
from pcfh.files import sha256_of
from pcfh.hallucinate import Hallucinator
from pcfh.preparation.manifest import crops_folder, learnt_from, open_prepared, read_manifest
from pcfh.recognisers.alignment import LIGHTCNN
from pcfh.recognisers.base import training_history
from pcfh.recognisers.lightcnn.weights import read_about
from pcfh.recognisers.tuned import save_tuned
from pcfh.recognisers.tuning.base import Rival
from pcfh.recognisers.tuning.captures import Captures, Trunk, open_captures
from pcfh.recognisers.tuning.tune import Tuning, about_tuning, is_tuned, open_trunk, tune

_VARIANTS = 0  # seed of the changes of captures; trainings of all seeds draw from the same variants
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class TuningJob:
    """What to tune, on what.

    Attributes:
        prepared: folder that ``pcfh prepare`` made.
        protocol: whose training people to take.
        out: file to write.
        rival: how.
        recognizer: weights of a Light CNN, to begin with.
        cache: folder of maps and generated faces, which rows of one table share.
        generator: whose images stand in the place of NIR ones; None where the rival sees these.
        seed: of everything that is drawn.
        device: auto, cpu, cuda or cuda:1.
        batch: faces generated at once.
    """

    prepared: Path
    protocol: str
    out: Path
    rival: Rival
    recognizer: Path
    cache: Path
    generator: Path | None = None
    seed: int = 0
    device: str = "auto"
    batch: int = 32
    _opened: dict[str, Any] = field(default_factory=dict)  # what is slow to read is read once

    @property
    def trunk(self) -> Trunk:
        """The Light CNN.

        Raises:
            UserError: the file is another recogniser.
        """
        if "trunk" not in self._opened:
            if self.recognizer.suffix == ".onnx":
                raise UserError(
                    f"{self.recognizer}: {self.rival.label} tunes the last layer of a Light CNN, and this is "
                    "an ONNX model; give a Light CNN's weights, or leave the row out"
                )
            self._opened["trunk"] = open_trunk(self.recognizer, usable_device(self.device))
        found: Trunk = self._opened["trunk"]
        return found

    @property
    def learnt(self) -> Mapping[str, Any]:
        """What the file says that it has learnt from; who is tested must not be among it."""
        if "learnt" not in self._opened:
            own = learnt_from(self.prepared, self.protocol)
            before = training_history(read_about(self.recognizer))
            self._opened["learnt"] = {
                "data": {"manifest": own["training_data"], "protocol": own["protocol"]},
                "identities": own["people"],
                "before": [{"manifest": manifest, "protocol": name} for manifest, name in before],
                "generator": None if self.generator is None else sha256_of(self.generator),
            }
        found: Mapping[str, Any] = self._opened["learnt"]
        return found


def done(job: TuningJob) -> bool:
    """Whether the file is what the job would make."""
    return job.out.is_file() and is_tuned(job.out, job.rival, job.seed, job.trunk, job.learnt)


def carry_out(job: TuningJob, on_progress: Progress = lambda stage, done, total: None) -> Tuning:
    """Tunes and writes the file, whole or not at all.

    Raises:
        UserError: data, recogniser or generator do not fit.
    """
    _require_generator(job)
    tuning = tune(job.rival, captures_of(job, on_progress), seed=job.seed, on_progress=on_progress)
    about = about_tuning(job.rival, tuning, job.seed, job.trunk, job.learnt)
    save_tuned(job.out, tuning.tuned, about)
    return tuning


def captures_of(job: TuningJob, on_progress: Progress = lambda stage, done, total: None) -> Captures:
    """The training captures of a job, NIR ones as the generator makes them where there is one."""
    manifest = read_manifest(job.prepared)
    size = source_size(manifest.sizes, LIGHTCNN)
    records = open_prepared(job.prepared, size).protocol(job.protocol).train
    return open_captures(
        crops_folder(job.prepared, size),
        records,
        job.trunk,
        cache=job.cache / "maps",
        key=f"{job.learnt['data']} {size} {job.learnt['generator']}",
        seed=_VARIANTS,
        on_progress=on_progress,
        generated=None if job.generator is None else _Generated(job, on_progress),
    )


class _Generated:
    """What the generator makes of NIR captures: all at once when the first one is wanted."""

    def __init__(self, job: TuningJob, on_progress: Progress) -> None:
        assert job.generator is not None
        self._job, self._on_progress = job, on_progress
        self._generator = Hallucinator.from_file(job.generator, device=job.device)
        database = open_prepared(job.prepared, self._generator.size)
        self._records = [r for r in database.protocol(job.protocol).train if r.modality == "NIR"]
        self._images: dict[str, Any] = {}

    def __call__(self, record: Any) -> Any:
        """The image of a capture."""
        if not self._images:
            root = crops_folder(self._job.prepared, self._generator.size)
            made = generated_crops(
                self._generator, root, self._records, cache=self._job.cache, batch=self._job.batch
            )
            for number, (one, image) in enumerate(zip(self._records, made, strict=True)):
                self._images[one.path] = image
                self._on_progress("generated faces", number + 1, len(self._records))
        return self._images[record.path]


def _require_generator(job: TuningJob) -> None:
    if job.rival.generator and job.generator is None:
        raise UserError(
            f"{job.rival.key} learns from generated images: give --generator FILE of the method "
            f"{job.rival.generator!r}"
        )
    if job.generator is not None and not job.rival.generator:
        raise UserError(f"{job.rival.key} learns from NIR captures; leave --generator out")
