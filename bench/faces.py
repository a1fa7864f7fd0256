"""Looks at rendered faces: contact sheets, and what a landmark detector makes of a rendered database.

    python -m bench faces sheets --face-model FaceXModel docs/pictures
    python -m bench faces detect DATABASE [--captures 600]
    python -m bench faces speed --face-model FaceXModel [--difficulty wild]

Sheets are JPEG files of 256 x 256 pixels a face. The detector is the default one; its landmarks are
compared with the exact ones, in outer inter-ocular distances.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pcfh.databases.casia import read_casia
from pcfh.databases.records import Record
from pcfh.evaluation.image_metrics import landmark_distance
from pcfh.images import read_image
from pcfh.landmarks import LandmarkBackend, cache_folder, open_backend
from pcfh_render.difficulty import difficulty_of
from pcfh_render.expressions import BASIC, symmetric
from pcfh_render.facemodel import load_face_model
from pcfh_render.params import Camera, Lamp, Look, Person, Shot
from pcfh_render.render import Renderer
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.shifts import shifted_shots, with_glasses
from pcfh_render.shots import draw_shots
from pcfh_render.skin import melanin_of_type

Picture = UInt8[np.ndarray, "h w 3"]
SEED = 2026
_CAMERA = Camera(
    distance=100.0, height=31.0, shift=(0.0, 0.0), exposure=1.0, balance=(1.0, 1.0, 1.0), blur=0.3,
    read_noise=0.002, shot_noise=0.006, jpeg=95,
)  # fmt: skip
_ROOM = (
    Lamp(kind="ambient", position=(0.0, 0.0, 0.0), colour=(0.5, 0.5, 0.5, 0.5), radius=0.0),
    Lamp(kind="distant", position=(-0.5, 0.5, 1.0), colour=(0.6, 0.6, 0.6, 0.6), radius=0.3),
)
_FLASH = (
    Lamp(kind="point", position=(-4.0, 0.0, 100.0), colour=(0.0, 0.0, 0.0, 0.5), radius=0.8),
    Lamp(kind="point", position=(4.0, 0.0, 100.0), colour=(0.0, 0.0, 0.0, 0.5), radius=0.8),
    Lamp(kind="ambient", position=(0.0, 0.0, 0.0), colour=(0.0, 0.0, 0.0, 0.03), radius=0.0),
)


def main(arguments: Sequence[str]) -> int:
    """Runs one of the two; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench faces", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    sheets = commands.add_parser("sheets", help="write contact sheets")
    sheets.add_argument("out", type=Path)
    sheets.add_argument("--face-model", type=Path, required=True)
    sheets.add_argument("--only", nargs="*", help="names of sheets")
    detect = commands.add_parser("detect", help="run the landmark detector over a database")
    detect.add_argument("database", type=Path)
    detect.add_argument("--captures", type=int, default=600, help="of each modality, evenly taken")
    timed = commands.add_parser("speed", help="processor time of a person and of a picture")
    timed.add_argument("--face-model", type=Path, required=True)
    timed.add_argument("--difficulty", default="casia")
    timed.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.command == "detect":
        print(detection(options.database, options.captures))
        return 0
    renderer = Renderer(load_face_model(options.face_model, cache_folder()))
    if options.command == "speed":
        print(speed(renderer, options.difficulty, options.rounds))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    for name, sheet in contact_sheets(renderer, options.only):
        Image.fromarray(sheet).save(options.out / f"faces-{name}.jpg", quality=88)
        print(options.out / f"faces-{name}.jpg")
    return 0


def contact_sheets(renderer: Renderer, only: Sequence[str] | None = None) -> Iterator[tuple[str, Picture]]:
    """Makes the sheets of some names, or all."""
    person = draw_person(SEED, 3)
    look = replace(draw_look(person, 1), glasses=None)
    sheets: dict[str, Callable[[Renderer], Picture]] = {
        "identities": identities,
        "expressions": partial(expressions, person=person, look=look),
        "poses": partial(poses, person=person, look=look),
        "bands": bands,
        "tones": partial(tones, person=person, look=look),
        "wild": wild,
        "shifts": shifts,
    }
    for name in only or sheets:
        yield name, sheets[name](renderer)


def identities(renderer: Renderer, first: int = 1, people: int = 8) -> Picture:
    """Each row one person of the CASIA-like setting: three VIS and three NIR captures."""
    rows = []
    for subject in range(first, first + people):
        person = draw_person(SEED, subject)
        look = draw_look(person, 1)
        shots = draw_shots(person, look, difficulty=difficulty_of("casia"), nir=3, vis=3)
        images = [portrait.image for portrait in renderer.portraits(person, look, shots)]
        rows.append(np.hstack([*images[3:], *images[:3]]))
    return np.vstack(rows)


def wild(renderer: Renderer, first: int = 1, people: int = 7) -> Picture:
    """Each row one person as three cameras of all kinds take them, each with the true VIS image beside it."""
    rows = []
    for subject in range(first, first + people):
        person = draw_person(SEED, subject)
        look = draw_look(person, 1)
        shots = draw_shots(person, look, difficulty=difficulty_of("wild"), nir=3, vis=0)
        pairs = [(portrait.image, portrait.truth) for portrait in renderer.portraits(person, look, shots)]
        rows.append(np.hstack([image for pair in pairs for image in pair if image is not None]))
    return np.vstack(rows)


def shifts(renderer: Renderer, subject: int = 4) -> Picture:
    """One moment of one person under each shift, in the order of their names in ``pcfh_render.shifts``."""
    person = draw_person(SEED, subject)
    look = with_glasses(person, draw_look(person, 1))
    shots = draw_shots(person, look, difficulty=difficulty_of("close"), nir=1, vis=0)
    taken = [shot for shot, _ in shifted_shots(shots, 256)]
    images = [portrait.image for portrait in renderer.portraits(person, look, taken, truth=False)]
    return np.vstack([np.hstack(images[:7]), np.hstack(images[7:])])


def expressions(renderer: Renderer, person: Person, look: Look) -> Picture:
    """The neutral face and the six basic expressions, NIR above, the truth below."""
    weights = [symmetric(shape, 0.8) for shape in ({}, *BASIC.values())]
    shots = [replace(_shot("NIR"), weights=tuple(shape.items())) for shape in weights]
    return _nir_over_truth(renderer, person, look, shots)


def poses(renderer: Renderer, person: Person, look: Look) -> Picture:
    """The farthest poses, NIR above, the truth below."""
    angles = [(-45, 0, 0), (-25, 0, 0), (25, 0, 0), (45, 0, 0), (0, 25, 0), (0, -25, 0), (0, 0, 15)]
    shots = [replace(_shot("NIR"), yaw=float(y), pitch=float(p), roll=float(r)) for y, p, r in angles]
    return _nir_over_truth(renderer, person, look, shots)


def bands(renderer: Renderer) -> Picture:
    """Three people in R, G, B and NIR under the same light."""
    rows = []
    for subject in (1, 2, 6):
        person = draw_person(SEED, subject)
        look = replace(draw_look(person, 1), glasses=None)
        shots = [replace(_shot(modality), lamps=_ROOM, background_light=0.6) for modality in ("VIS", "NIR")]
        vis, nir = (portrait.image for portrait in renderer.portraits(person, look, shots))
        grey = [np.repeat(vis[..., channel : channel + 1], 3, 2) for channel in range(3)]
        rows.append(np.hstack([vis, *grey, nir]))
    return np.vstack(rows)


def tones(renderer: Renderer, person: Person, look: Look) -> Picture:
    """One face with the skin of all six Fitzpatrick types, NIR above, the truth below."""
    columns = []
    for skin_type in range(1, 7):
        other = replace(person, fitzpatrick=skin_type, melanin=melanin_of_type(skin_type, 0.5), freckles=0.0)
        columns.append(_nir_over_truth(renderer, other, replace(look, tan=1.0), [_shot("NIR")]))
    return np.hstack(columns)


def _nir_over_truth(renderer: Renderer, person: Person, look: Look, shots: Sequence[Shot]) -> Picture:
    """NIR captures in a row, above what they look like in visible light."""
    portraits = list(renderer.portraits(person, look, shots))
    truths = [portrait.truth for portrait in portraits if portrait.truth is not None]
    return np.vstack([np.hstack([portrait.image for portrait in portraits]), np.hstack(truths)])


def _shot(modality: str) -> Shot:
    """A plain frontal capture."""
    return Shot(
        modality="NIR" if modality == "NIR" else "VIS",
        seed=1,
        expression="neutral",
        weights=(),
        yaw=0.0,
        pitch=0.0,
        roll=0.0,
        glasses=False,
        lamps=_FLASH if modality == "NIR" else _ROOM,
        background=(0.5, 0.5, 0.5, 0.5),
        background_light=0.03 if modality == "NIR" else 0.8,
        camera=_CAMERA,
    )


def speed(renderer: Renderer, difficulty: str, rounds: int) -> str:
    """Processor seconds of what is done once for a person, and of NIR captures with truth and VIS captures.

    Two people, one capture of each kind; the least of some rounds, since other work on the machine only adds.
    """
    times: dict[str, list[float]] = {"person": [], "NIR with truth": [], "VIS": []}
    for subject in (2, 4):
        person = draw_person(SEED, subject)
        look = draw_look(person, 1)
        shots = draw_shots(person, look, difficulty=difficulty_of(difficulty), nir=1, vis=1)
        least = np.full(3, np.inf)
        for _ in range(rounds):
            start = time.process_time()
            portraits = renderer.portraits(person, look, shots)
            list(renderer.portraits(person, look, ()))
            marks = [time.process_time() - start]
            for _ in portraits:
                marks.append(time.process_time() - start)
            # The first portrait paints the person again.
            took = (marks[0], marks[1] - 2 * marks[0], marks[2] - marks[1])
            least = np.minimum(least, took)
        for name, value in zip(times, least, strict=True):
            times[name].append(float(value))
    return "\n".join(f"{name}: {np.mean(values):.2f} s" for name, values in times.items())


def detection(database: Path, captures: int) -> str:
    """How many faces the default detector finds, and how far its landmarks are from the exact ones."""
    records = read_casia(database)
    backend = open_backend("blaze")
    lines = ["| captures | tried | found | mean distance, 68 points |", "|---|---|---|---|"]
    for modality in ("VIS", "NIR"):
        own = [record for record in records.records if record.modality == modality]
        chosen = own[:: max(1, len(own) // captures)]
        distances = [_distance(records.root, record, backend) for record in chosen]
        found = [distance for distance in distances if distance is not None]
        lines.append(
            f"| {modality} | {len(chosen)} | {100 * len(found) / len(chosen):.1f} % | {np.mean(found):.4f} |"
        )
    return "\n".join(lines)


def _distance(root: Path, record: Record, backend: LandmarkBackend) -> float | None:
    """Mean landmark distance of one capture, None where no face was found."""
    faces = backend.detect(read_image(root / record.path))
    if not faces or record.landmarks is None:
        return None
    return landmark_distance(np.array(record.landmarks), faces[0].landmarks)
