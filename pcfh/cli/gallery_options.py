"""What the commands of ``pcfh gallery`` share: the store, the networks, and how a score is shown."""

import os
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from pcfh.gallery.entries import Calibration
from pcfh.gallery.photographs import FaceReader
from pcfh.gallery.store import Gallery
from pcfh.hallucinate import Hallucinator
from pcfh.landmarks import open_backend
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import generator_at, shipped

TOKEN = "PCFH_GALLERY_TOKEN"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Networks:
    """What computes features.

    Attributes:
        model: generator.safetensors of a training run, or the word generator for the first shipped one; the
            one for photographs (cameras) if not given.
        recognizer: as for pcfh evaluate; the shipped one if not given. A gallery takes one.
        device: auto, cpu, cuda or cuda:1.
    """

    model: Path | None = None
    recognizer: str | None = None
    device: str = "auto"

    def reader(self) -> FaceReader:
        """Opens them."""
        keep_freed_memory()
        finder = open_backend("blaze")
        hallucinator = Hallucinator.from_file(generator_at(self.model), device=self.device, backend=finder)
        place = shipped("recognizer") if self.recognizer is None else self.recognizer
        return FaceReader(hallucinator, open_recognizer(place, device=self.device))


def open_gallery(uri: str, collection: str, *, index: str | None = None, new: bool = False) -> Gallery:
    """Opens a gallery; a server's token comes from the environment, where no list of processes shows it."""
    return Gallery.open(uri, name=collection, token=os.environ.get(TOKEN, ""), index=index, new=new)


def decision(score: float, calibration: Calibration | None) -> str:
    """On which side of the threshold a score lies."""
    if calibration is None:
        return ""
    return "above" if score >= calibration.threshold else "below"


def about_threshold(calibration: Calibration) -> str:
    """A line that says what a threshold is worth."""
    how = "all" if calibration.exact else "a random sample of the"
    return (
        f"Threshold {calibration.threshold:.4f} for a false-accept rate of {calibration.far:g} (95 % "
        f"interval {calibration.low:.4f} to {calibration.high:.4f}), from {how} {calibration.faces:,} faces: "
        f"{calibration.pairs:,} pairs of {calibration.people:,} people, {calibration.made:%Y-%m-%d %H:%M} UTC"
    )
