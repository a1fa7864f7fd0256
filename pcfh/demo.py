"""The whole method on the sample of rendered faces: prepared, trained on, translated and measured.

    <out>/prepared   its aligned crops
    <out>/run        the training run
    <out>/sheet.png  what became of people whom training never saw
    <out>/demo.json  says that the folder is the demo's, and of which demo

Called again, it goes on where it was stopped; another demo in the same folder starts afresh. It trains the
tiny preset for minutes, so it shows how things work and not how well the method does.

Images are 8-bit crops of (row, column, channel), errors are in [0, 1].
"""

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from pcfh import __version__
from pcfh.config import Config, tiny, to_dict
from pcfh.data.casia import read_casia
from pcfh.data.images import read_image, write_png
from pcfh.data.prepare import PrepareOptions, prepare
from pcfh.data.prepared import crop_landmarks, crops_folder, read_manifest
from pcfh.data.records import Record
from pcfh.data.rendered import HOME, TRUTH, truth_crop
from pcfh.errors import UserError
from pcfh.files import write_atomically
from pcfh.hallucinate import Hallucinator
from pcfh.metrics.images import face_mask, mean_absolute_error
from pcfh.training.loop import GENERATOR, Hooks, Job, train
from pcfh.training.runtime import start_runtime

MARK, SHEET = "demo.json", "sheet.png"
PREPARED, RUN = "prepared", "run"
SAMPLE = Path(__file__).parents[1] / "samples" / HOME  # of a clone of the repository
_PROTOCOL = "1"
_FORMAT = {"format": "pcfh-demo"}  # how the mark begins
_TITLES = ("NIR", "generated", "true VIS")
_SHOWN, _ZOOM, _BLOCKS = 8, 2, 2  # of the sheet: people, enlargement, people side by side
_GAP, _HEADER = 8, 24  # pixels

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Probe:
    """A NIR crop of the test with its landmarks, and the VIS image of the same moment."""

    subject: str
    nir: UInt8[np.ndarray, "s s 3"]
    truth: UInt8[np.ndarray, "s s 3"]
    landmarks: Float[np.ndarray, "68 2"]


def run_demo(
    out: Path, *, faces: Path = SAMPLE, steps: int | None = None, say: Say = lambda line: None
) -> Path:
    """Prepares, trains, translates and measures.

    Args:
        out: folder to write to: a new one, an empty one or an earlier demo's.
        faces: a rendered database with landmarks and truth images.
        steps: of training; None takes the tiny preset's.
        say: gets each line of what goes on.

    Returns:
        The sheet of pictures: NIR, generated and true VIS faces of people whom training never saw.

    Raises:
        UserError: the folder holds something else, or there is no database.
    """
    if not (faces / TRUTH).is_dir():
        raise UserError(
            f"{faces}: expected the sample of rendered faces; run this in a clone of the repository, or give "
            "--faces a database made by pcfh render"
        )
    config = tiny()
    if steps is not None:
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))
    _claim(out, {"faces": str(faces.resolve()), "config": to_dict(config)})
    _prepare(faces, out, config.training.size, say)
    _train(out, config, say)
    probes = _probes(faces, out, config.training.size)
    hallucinator = Hallucinator.from_file(out / RUN / GENERATOR, device="cpu")
    generated = hallucinator.crops(
        np.stack([probe.nir for probe in probes]), np.stack([probe.landmarks for probe in probes])
    )
    write_png(out / SHEET, _sheet(probes, generated), hallucinator.marks())
    say(_verdict(probes, generated))
    return out / SHEET


def _claim(out: Path, demo: Mapping[str, Any]) -> None:
    """Takes a folder for this demo, and clears away what another demo left in it."""
    mark = out / MARK
    text = json.dumps({**_FORMAT, "version": __version__, **demo})
    found = mark.read_text(errors="replace") if mark.is_file() else ""
    if found == text:
        return
    if found.startswith(json.dumps(_FORMAT).removesuffix("}")):
        for folder in (out / RUN, out / PREPARED):
            if folder.exists():
                shutil.rmtree(folder)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: expected a new or empty folder, or an earlier demo's; name another one")
    write_atomically(mark, text.encode())


def _prepare(faces: Path, out: Path, size: int, say: Say) -> None:
    database = read_casia(faces)
    say(f"preparing {len(database.records)} rendered captures: faces aligned to {size} x {size} pixels")
    prepare(database, out / PREPARED, PrepareOptions(sizes=(size,), backend="given", layout="casia"))


def _train(out: Path, config: Config, say: Say) -> None:
    steps = config.training.steps
    begin = time.monotonic()

    def report(step: int, values: Mapping[str, float]) -> None:
        if step % max(1, steps // 10) == 0 or step == steps:
            say(f"step {step} of {steps}, {time.monotonic() - begin:.0f} s")

    say(f"training on half of the people: {steps} steps")
    job = Job(prepared=out / PREPARED, protocol=_PROTOCOL, run=out / RUN, config=config)
    with start_runtime("cpu") as runtime:
        train(job, runtime, Hooks(on_step=report))


def _probes(faces: Path, out: Path, size: int) -> list[_Probe]:
    """The test's NIR crops beside what they should become."""
    manifest = read_manifest(out / PREPARED)
    crops = crops_folder(out / PREPARED, size)
    return [
        _probe(faces, record, crops / manifest.crops[record.path], size)
        for record in manifest.source.protocol(_PROTOCOL).probe
    ]


def _probe(faces: Path, record: Record, crop: Path, size: int) -> _Probe:
    """One of them; the truth is aligned by the landmarks of the NIR capture."""
    assert record.landmarks is not None
    return _Probe(
        subject=record.subject,
        nir=read_image(crop),
        truth=truth_crop(faces, record, size),
        landmarks=crop_landmarks(record.landmarks, size),
    )


def _verdict(probes: Sequence[_Probe], generated: UInt8[np.ndarray, "b s s 3"]) -> str:
    """The error of the generated faces beside that of the grey input."""
    ours = np.mean([_error(probe, image) for probe, image in zip(probes, generated, strict=True)])
    floor = np.mean([_error(probe, probe.nir) for probe in probes])
    return (
        f"{len(probes)} pictures of {len({probe.subject for probe in probes})} unseen people: mean absolute "
        f"error to the true VIS face {ours:.3f}, that of the grey input {floor:.3f} (0 to 1)"
    )


def _error(probe: _Probe, image: UInt8[np.ndarray, "s s 3"]) -> float:
    return mean_absolute_error(image / 255, probe.truth / 255, face_mask(probe.landmarks, len(image)))


def _sheet(probes: Sequence[_Probe], generated: UInt8[np.ndarray, "b s s 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """A picture each of some people, NIR | generated | true VIS, in blocks side by side under a header."""
    people = sorted({probe.subject for probe in probes})[:_SHOWN]
    chosen = [next(i for i, probe in enumerate(probes) if probe.subject == subject) for subject in people]
    side = probes[0].nir.shape[0] * _ZOOM
    width, rows = len(_TITLES) * side + _GAP, -(-len(chosen) // _BLOCKS)
    sheet = Image.new("RGB", (_BLOCKS * width - _GAP, _HEADER + rows * side), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for place in range(_BLOCKS * len(_TITLES)):
        block, column = divmod(place, len(_TITLES))
        middle = block * width + (column + 0.5) * side
        pen.text((middle, _HEADER / 2), _TITLES[column], fill="black", font=font, anchor="mm")
    for place, index in enumerate(chosen):
        row, block = divmod(place, _BLOCKS)
        for column, image in enumerate((probes[index].nir, generated[index], probes[index].truth)):
            enlarged = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(enlarged, (block * width + column * side, _HEADER + row * side))
    return np.asarray(sheet)
