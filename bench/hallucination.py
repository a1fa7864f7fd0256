"""Measures generated faces against the true VIS images, beside three floors any useful generator must beat.

    python -m bench.hallucination DATABASE PREPARED GENERATOR --protocol 1 --sheet sheet.png [--json out.json]

DATABASE has the layout of CASIA NIR-VIS 2.0 with two additions: truth/<path> for each NIR capture <path>, as
pcfh render writes it (or truth/<id>/<n>.jpg), the VIS image of the same pose and expression, and
landmarks68.csv, by which pcfh prepare made PREPARED. The truth is aligned by the NIR capture's landmarks, as
the NIR crop was, so the two lie on each other pixel by pixel.

Images are 8-bit crops of (row, column, channel), compared as values in [0, 1] inside the face, which is the
convex hull of the 68 NIR landmarks. The floors, for each probe of the protocol:

    NIR input               the grey crop itself.
    colour regression       per channel a + b g + c g^2 of the grey value g, cut off to [0, 1]; least squares
                            over the pixels inside the face of all pairs of a NIR and a VIS capture of one
                            training person, the VIS one warped onto the NIR one.
    warped other capture    a VIS capture of the probe's person, warped onto the probe's landmarks; the mean
                            over all the person's VIS captures on disk, also those no list names.

Means are over probes, standard errors over people (each by the mean of its probes).
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from pcfh.databases.casia import read_casia
from pcfh.databases.records import LANDMARKS_FILE, Record, subjects
from pcfh.databases.rendered import TRUTH, truth_crop
from pcfh.errors import UserError
from pcfh.evaluation.image_metrics import face_mask, landmark_distance, mean_absolute_error, ssim
from pcfh.files import sha256_of, write_atomically
from pcfh.geometry.align import align_image, crop_of, similarity, transform_points
from pcfh.geometry.warp import inverse_distance_warp
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image, write_png
from pcfh.landmarks import LandmarkBackend, landmark_key, open_backend, read_landmarks
from pcfh.preparation.manifest import MANIFEST, open_prepared, read_manifest

BATCH = 16
SHEET_PEOPLE = 8
GAP, LABEL_WIDTH = 2, 128  # pixels of the sheet

Capture = tuple[UInt8[np.ndarray, "s s 3"], Float[np.ndarray, "68 2"]]  # a crop and its landmarks
Landmarks = Mapping[str, Float[np.ndarray, "68 2"]]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One NIR capture of the test and what it is compared with, all crops of one size.

    Attributes:
        record: of the crop, landmarks in its pixels.
        nir: the input.
        truth: the VIS image of the same pose and expression.
        others: VIS captures of the same person, warped onto the landmarks of ``nir``.
    """

    record: Record
    nir: UInt8[np.ndarray, "s s 3"]
    truth: UInt8[np.ndarray, "s s 3"]
    others: Sequence[UInt8[np.ndarray, "s s 3"]]

    @property
    def mask(self) -> Bool[np.ndarray, "s s"]:
        """Where the face is."""
        return face_mask(points_of(self.record), len(self.nir))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Mean over probes and its standard error over people; None where there are too few."""

    mean: float | None
    standard_error: float | None
    probes: int
    people: int

    def __str__(self) -> str:
        mean, error = ("–" if value is None else f"{value:.4f}" for value in (self.mean, self.standard_error))
        return f"{mean} ± {error}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit code."""
    options = _parser().parse_args(arguments)
    command = shlex.join(
        ["python", "-m", "bench.hallucination", *(sys.argv[1:] if arguments is None else arguments)]
    )
    try:
        report = measure(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report = {"command": command, **report}
    if options.json is not None:
        write_atomically(options.json, json.dumps(report, indent=2, allow_nan=False, default=asdict).encode())
    print(markdown(report))
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is reported; writes the sheet."""
    detector = open_backend("blaze")
    hallucinator = Hallucinator.from_file(options.generator)
    prepared = open_prepared(options.prepared, hallucinator.size)
    protocol = prepared.protocol(options.protocol)
    nir_to_rgb = fit_colour(prepared.root, protocol.train)
    probes = load_probes(options.database, options.prepared, options.protocol, hallucinator.size)
    outputs = generate(hallucinator, probes)
    images = [candidates(*pair, nir_to_rgb) for pair in zip(probes, outputs, strict=True)]
    quality = [image_scores(*pair) for pair in zip(probes, images, strict=True)]
    poses = pose_distances(detector, probes, outputs)
    shown = draw_probes([probe.record for probe in probes], options.seed)
    sheet = make_sheet([probes[i] for i in shown], [images[i] for i in shown])
    write_png(options.sheet, sheet, {"Comment": "the row 'generated' is synthetic"})
    people = [probe.record.subject for probe in probes]
    return {
        "environment": environment(),
        "generator": {"size": hallucinator.size, **hallucinator.about},
        "prepared": {"manifest": sha256_of(options.prepared / MANIFEST), "protocol": options.protocol},
        "colour_regression": nir_to_rgb.tolist(),
        "quality": {row: summaries([q[row] for q in quality], people) for row in quality[0]},
        "pose": pose_summary(poses, people),
        "sheet": {"seed": options.seed, "probes": [probes[i].record.path for i in shown]},
        "probes": [probe_values(*row) for row in zip(probes, quality, poses, strict=True)],
    }


def probe_values(probe: Probe, quality: Mapping[str, Any], pose: Mapping[str, Any]) -> dict[str, Any]:
    """What is reported of one probe."""
    about = {"crop": probe.record.path, "subject": probe.record.subject, "others": len(probe.others)}
    return {**about, "quality": quality, "pose": pose}


def points_of(record: Record) -> Float[np.ndarray, "68 2"]:
    """The landmarks of a record that has them, as every prepared one has."""
    return np.array(record.landmarks)


def unit(image: UInt8[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """8-bit values in [0, 1]."""
    return image / 255.0


def to_8bit(image: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """The reverse of ``unit``, cut off to the range."""
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def prepared_captures(root: Path, records: Sequence[Record], subject: str) -> list[Capture]:
    """The VIS crops of one person among some records."""
    own = [record for record in records if record.modality == "VIS" and record.subject == subject]
    return [(read_image(root / record.path), points_of(record)) for record in own]


def captures_on_disk(home: Path, given: Landmarks, subject: str, size: int) -> list[Capture]:
    """All VIS captures of one person, also those no list names, aligned by their own given landmarks."""
    captures = []
    for path in sorted(home.glob(f"*/VIS/{subject}/*")):
        points = given.get(landmark_key(path.relative_to(home).as_posix()))
        if points is not None:
            matrix = similarity(points, crop_of(size))
            captures.append((align_image(read_image(path), matrix, size), transform_points(matrix, points)))
    if not captures:
        raise UserError(
            f"{home / LANDMARKS_FILE}: expected landmarks of a VIS capture of {subject}, got none"
        )
    return captures


def warp_onto(sources: Sequence[Capture], target: Record) -> list[UInt8[np.ndarray, "s s 3"]]:
    """Crops warped so that their landmarks come to lie on those of the target."""
    pixels = torch.from_numpy(np.stack([image for image, _ in sources])).permute(0, 3, 1, 2).float()
    from_points = torch.from_numpy(np.stack([points for _, points in sources])).float()
    to_points = torch.tensor([target.landmarks]).expand_as(from_points)
    warped = inverse_distance_warp(pixels, from_points, to_points)
    return list(warped.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())


def load_probes(database: Path, prepared: Path, protocol: str, size: int) -> list[Probe]:
    """Reads and aligns what each probe of the protocol is compared with."""
    home = read_casia(database).root
    given = read_landmarks(home / LANDMARKS_FILE)
    sources = read_manifest(prepared).source.protocol(protocol).probe
    crops = open_prepared(prepared, size)
    people = subjects(sources)
    if len(people) < 2:
        raise UserError(f"{prepared}: expected probes of two people or more in protocol {protocol!r}")
    captures = {person: captures_on_disk(home, given, person, size) for person in people}
    return [
        Probe(
            record=record,
            nir=read_image(crops.root / record.path),
            truth=read_truth(home, source, size),
            others=warp_onto(captures[record.subject], record),
        )
        for source, record in zip(sources, crops.protocol(protocol).probe, strict=True)
    ]


def read_truth(home: Path, source: Record, size: int) -> UInt8[np.ndarray, "s s 3"]:
    """The true VIS image of a NIR capture, aligned as that was."""
    by_person = home / TRUTH / source.subject / f"{Path(source.path).stem}.jpg"
    if not by_person.is_file():
        return truth_crop(home, source, size)
    return align_image(read_image(by_person), similarity(points_of(source), crop_of(size)), size)


def colour_terms(grey: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
    """What the colour regression is linear in: 1, g and g^2."""
    return np.stack([np.ones_like(grey), grey, grey**2], -1)


def fit_colour(root: Path, train: Sequence[Record]) -> Float[np.ndarray, "3 3"]:
    """Coefficients of the colour regression: a row for each term, a column for each channel."""
    normal, moment = np.zeros((3, 3)), np.zeros((3, 3))
    for target in train:
        if target.modality != "NIR":
            continue
        sources = prepared_captures(root, train, target.subject)
        if sources:
            nir = read_image(root / target.path)
            mask = face_mask(points_of(target), len(nir))
            terms = colour_terms(unit(nir)[mask][:, 0])
            for warped in warp_onto(sources, target):
                normal += terms.T @ terms
                moment += terms.T @ unit(warped)[mask]
    return np.linalg.solve(normal, moment)


def generate(hallucinator: Hallucinator, probes: Sequence[Probe]) -> list[UInt8[np.ndarray, "s s 3"]]:
    """The generator's output for each probe."""
    outputs: list[UInt8[np.ndarray, "s s 3"]] = []
    for start in range(0, len(probes), BATCH):
        part = probes[start : start + BATCH]
        landmarks = np.stack([points_of(probe.record) for probe in part])
        outputs += list(hallucinator.translate_batch(np.stack([probe.nir for probe in part]), landmarks))
    return outputs


def candidates(
    probe: Probe, output: UInt8[np.ndarray, "s s 3"], nir_to_rgb: Float[np.ndarray, "3 3"]
) -> dict[str, Sequence[UInt8[np.ndarray, "s s 3"]]]:
    """The images whose mean is reported, for each row of the table."""
    return {
        "generated": [output],
        "NIR input": [probe.nir],
        "colour regression": [to_8bit(colour_terms(unit(probe.nir[..., 0])) @ nir_to_rgb)],
        "warped other capture": probe.others,
    }


def image_scores(
    probe: Probe, rows: Mapping[str, Sequence[UInt8[np.ndarray, "s s 3"]]]
) -> dict[str, dict[str, float]]:
    """MAE and SSIM of each row against the truth, inside the face."""
    truth, mask = unit(probe.truth), probe.mask
    measures = {"mae": mean_absolute_error, "ssim": ssim}
    return {
        row: {
            name: float(np.mean([function(unit(image), truth, mask) for image in images]))
            for name, function in measures.items()
        }
        for row, images in rows.items()
    }


def pose_distances(
    detector: LandmarkBackend, probes: Sequence[Probe], outputs: Sequence[UInt8[np.ndarray, "s s 3"]]
) -> list[dict[str, Any]]:
    """Where the one detector finds a face, and how far the landmarks are apart where it finds all three."""
    distances = []
    for probe, output in zip(probes, outputs, strict=True):
        faces = [detector.detect(image)[:1] for image in (probe.nir, output, probe.truth)]
        row: dict[str, Any] = dict(
            zip(("found_input", "found_output", "found_truth"), map(bool, faces), strict=True)
        )
        if all(faces):
            nir, generated, truth = (face[0].landmarks for face in faces)
            row["input_output"] = landmark_distance(nir, generated)
            row["input_truth"] = landmark_distance(nir, truth)
            row["truth_output"] = landmark_distance(truth, generated)
        distances.append(row)
    return distances


def summary(values: Sequence[float], people: Sequence[str]) -> Summary:
    """The mean over probes, and its standard error over the people they belong to."""
    names = sorted(set(people))
    of_person = [[v for v, person in zip(values, people, strict=True) if person == name] for name in names]
    means = [np.mean(own) for own in of_person]
    return Summary(
        mean=float(np.mean(values)) if values else None,
        standard_error=float(np.std(means, ddof=1) / len(names) ** 0.5) if len(names) > 1 else None,
        probes=len(values),
        people=len(names),
    )


def summaries(rows: Sequence[Mapping[str, float]], people: Sequence[str]) -> dict[str, Summary]:
    """One summary for each measure."""
    return {name: summary([row[name] for row in rows], people) for name in rows[0]}


def pose_summary(poses: Sequence[Mapping[str, Any]], people: Sequence[str]) -> dict[str, Any]:
    """How many faces were found, the mean distances, and the kept pose in units of the detector's noise."""
    names = ("input_output", "input_truth", "truth_output")
    seen = [(pose, person) for pose, person in zip(poses, people, strict=True) if names[0] in pose]
    distances = {
        name: summary([pose[name] for pose, _ in seen], [person for _, person in seen]) for name in names
    }
    moved, noise = (distances[name].mean for name in names[:2])
    return {
        "found": {
            name: sum(pose[f"found_{name}"] for pose in poses) for name in ("input", "output", "truth")
        },
        "distances": distances,
        "ratio": None if moved is None or noise is None else moved / noise,
    }


def draw_probes(probes: Sequence[Record], seed: int) -> list[int]:
    """Places of one probe of each of a few people, both by chance."""
    random = np.random.default_rng(seed)
    drawn = random.permutation(subjects(probes))[:SHEET_PEOPLE]
    of_person = [[i for i, probe in enumerate(probes) if probe.subject == person] for person in drawn]
    return [int(random.choice(indices)) for indices in of_person]


def make_sheet(
    probes: Sequence[Probe], images: Sequence[Mapping[str, Sequence[UInt8[np.ndarray, "s s 3"]]]]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture grid: a column for each probe, a labelled row for each kind of image, nothing resized."""
    rows = {
        "NIR": [probe.nir for probe in probes],
        "generated": [one["generated"][0] for one in images],
        "truth": [probe.truth for probe in probes],
        "warped other capture": [one["warped other capture"][0] for one in images],
        "colour regression": [one["colour regression"][0] for one in images],
    }
    step = len(probes[0].nir) + GAP
    sheet = Image.new("RGB", (LABEL_WIDTH + step * len(probes) - GAP, step * len(rows) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for y, (label, row) in enumerate(rows.items()):
        draw.text((GAP, y * step + step // 2), label, fill="black", font=font, anchor="lm")
        for x, image in enumerate(row):
            sheet.paste(Image.fromarray(image), (LABEL_WIDTH + x * step, y * step))
    return np.asarray(sheet)


def environment() -> dict[str, Any]:
    """What the figures may depend on."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "commit": commit}


def markdown(report: Mapping[str, Any]) -> str:
    """The tables as they go into the documentation."""
    quality, pose, sheet = report["quality"], report["pose"], report["sheet"]
    found, distances, count = pose["found"], pose["distances"], len(report["probes"])
    ratio = "–" if pose["ratio"] is None else f"{pose['ratio']:.2f}"
    people, protocol = quality["generated"]["mae"].people, report["prepared"]["protocol"]
    lines = [
        f"`{report['command']}`",
        "",
        f"Protocol {protocol}, {count} probes of {people} people; mean over probes ± standard error over "
        f"people. Generator: {json.dumps(report['generator'])}.",
        "",
        "| against the truth, inside the face | MAE | SSIM |",
        "|---|---|---|",
        *(f"| {row} | {values['mae']} | {values['ssim']} |" for row, values in quality.items()),
        "",
        "| landmark distance / outer inter-ocular distance | mean |",
        "|---|---|",
        f"| NIR input to output | {distances['input_output']} |",
        f"| NIR input to truth (the detector's noise) | {distances['input_truth']} |",
        f"| ratio of the two | {ratio} |",
        f"| truth to output | {distances['truth_output']} |",
        "",
        f"Faces found: {found['input']} of {count} inputs, {found['output']} outputs, {found['truth']} "
        f"truths; distances over the {distances['input_output'].probes} probes with all three.",
        f"Sheet: one probe each of {len(sheet['probes'])} people, drawn with seed {sheet['seed']}.",
    ]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.hallucination", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("database", type=Path, help="folder in CASIA layout, with truth/")
    parser.add_argument("prepared", type=Path, help="what pcfh prepare made of it")
    parser.add_argument("generator", type=Path, help="generator.safetensors of a training run")
    parser.add_argument("--protocol", required=True, help='e.g. "1"')
    parser.add_argument("--sheet", type=Path, required=True, help="PNG to write the picture grid to")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of the sheet's probes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
