"""Generators of trainings that kept people out (``training.validation``), scored on just these.

    python -m bench kept_out PREPARED RUN [RUN ...] [--protocol 1] [--recognizer F outside.onnx ...]

For choosing settings: nobody whom the fold tests is looked at. All NIR captures of the people kept out are
probes, and their first VIS captures are enrolled. For each run and recogniser Rank-1 in percent, by the
generated face alone and by the mean of its score and the NIR image's; and how far the mean colour between
brows and mouth lies from that of the person's VIS captures (Delta E 2000, the median over probes; light
differs, so that of another VIS capture stands beside it). Then, in points, what the first run's fused score
gains over the others', with 95 % confidence intervals over people. Runs must have kept the same people out.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from skimage.color import deltaE_ciede2000, rgb2lab
from tabulate import tabulate

from pcfh.config import read_toml
from pcfh.databases.records import Record, of_modality, subjects
from pcfh.errors import UserError
from pcfh.evaluation.generated import generated_crops
from pcfh.evaluation.intervals import Bootstrap, mean_interval
from pcfh.evaluation.text_tables import interval_text
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.methods.held_out import split_people
from pcfh.methods.train import GENERATOR
from pcfh.preparation.manifest import open_prepared
from pcfh.recognisers.base import Recognizer
from pcfh.recognisers.features import extract, realigned, recognizer_crops
from pcfh.recognisers.registry import open_recognizer
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped
from pcfh.training.loop import SETTINGS

Hits = Bool[np.ndarray, " p"]  # which probes find their person


def main(arguments: Sequence[str]) -> int:
    """Scores and prints; returns the exit code."""
    options = parser().parse_args(arguments)
    keep_freed_memory()
    settings = [read_toml(run / SETTINGS) for run in options.runs]
    splits = {(float(one["training.validation"]), int(one["training.seed"])) for one in settings}
    if len(splits) != 1 or not min(splits)[0]:
        raise UserError(
            f"runs: keep different people out, or nobody (share, seed): {sorted(splits)}; give runs of one "
            "training.validation and training.seed"
        )
    generators = {run.name: Hallucinator.from_file(run / GENERATOR, device="cpu") for run in options.runs}
    database = open_prepared(options.prepared, min(g.size for g in generators.values()))
    share, seed = splits.pop()
    _, kept = split_people(database.protocol(options.protocol).train, share, seed)
    probes, portraits = of_modality(kept, "NIR"), of_modality(kept, "VIS")
    enrolled = [next(r for r in portraits if r.subject == person) for person in subjects(portraits)]
    print(f"{len(probes)} probes of {len(enrolled)} people kept out")
    made = {
        name: list(generated_crops(generator, database.root, probes, cache=options.prepared.parent / "cache"))
        for name, generator in generators.items()
    }
    hits: dict[str, list[Hits]] = {"NIR": [], **{name: [] for name in made}}
    people = [np.array([r.subject for r in part]) for part in (probes, enrolled)]
    places = options.recognizer or [str(shipped("recognizer"))]
    for recognizer in (open_recognizer(place, device="cpu") for place in places):
        gallery = _features(recognizer, database.root, enrolled)
        nir = _features(recognizer, database.root, probes) @ gallery.T
        hits["NIR"] += [_hits(nir, *people)] * 2
        for name, faces in made.items():
            own = extract(recognizer, realigned(iter(faces), probes, recognizer.alignment)) @ gallery.T
            hits[name] += [_hits(own, *people), _hits((own + nir) / 2, *people)]
    colours = _colours(database.root, probes, portraits, made)
    head = ("", *(f"{Path(p).stem}, {what}" for p in places for what in ("alone", "fused")), "colour")
    table = [(name, *(100 * hit.mean() for hit in found), colours.get(name)) for name, found in hits.items()]
    print(tabulate(table, head, tablefmt="pipe", floatfmt=".1f"))
    print(f"Colour of other VIS captures of the same people: {colours['VIS']:.1f}\n")
    first, *others = made
    gains = [
        (f"{first} less {other}", *_gains(hits[first][1::2], hits[other][1::2], people[0]))
        for other in (*others, "NIR")
    ]
    print(tabulate(gains, ("fused", *(Path(p).stem for p in places)), tablefmt="pipe"))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m bench kept_out", description=(__doc__ or "").split("\n")[0]
    )
    result.add_argument("prepared", type=Path, help="made by pcfh prepare")
    result.add_argument("runs", nargs="+", type=Path, help="folders of pcfh train")
    result.add_argument("--protocol", default="1", help="whose training people")
    result.add_argument("--recognizer", nargs="+", default=[], help="who scores; F if not given")
    return result


def _features(recognizer: Recognizer, root: Path, records: Sequence[Record]) -> Float[np.ndarray, "n d"]:
    crops = recognizer_crops(root, records, recognizer.alignment)
    return extract(recognizer, crops, records[0].modality)


def _hits(
    scores: Float[np.ndarray, "p g"], probes: Shaped[np.ndarray, " p"], gallery: Shaped[np.ndarray, " g"]
) -> Hits:
    return np.asarray(gallery[scores.argmax(1)] == probes)


def _gains(mine: Sequence[Hits], others: Sequence[Hits], people: Shaped[np.ndarray, " p"]) -> list[str]:
    """The paired differences of Rank-1 by each recogniser."""
    draws = Bootstrap()
    pairs = zip(mine, others, strict=True)
    return [
        interval_text(mean_interval(a.astype(int) - b.astype(int), people, draws), signed=True)
        for a, b in pairs
    ]


def _colours(
    root: Path,
    probes: Sequence[Record],
    portraits: Sequence[Record],
    made: dict[str, list[UInt8[np.ndarray, "s s 3"]]],
) -> dict[str, float]:
    """Median Delta E 2000 between a face's mean colour and that of its person's VIS captures."""
    photographs = np.stack([_mean_colour(read_image(root / r.path), r) for r in portraits])

    def distance(colours: Float[np.ndarray, "n 3"], records: Sequence[Record]) -> float:
        others = ([p.subject == r.subject and p is not r for p in portraits] for r in records)
        targets = [photographs[own].mean(0) for own in others]
        return float(np.median(deltaE_ciede2000(colours, np.stack(targets))))

    found = {
        name: distance(np.stack([_mean_colour(*one) for one in zip(faces, probes, strict=True)]), probes)
        for name, faces in made.items()
    }
    return {**found, "VIS": distance(photographs, portraits)}


def _mean_colour(face: UInt8[np.ndarray, "s s 3"], record: Record) -> Float[np.ndarray, " 3"]:
    """Mean CIELAB colour of the box from the brows to the mouth."""
    points = np.array(record.landmarks)[17:]
    (left, top), (right, bottom) = np.floor(points.min(0)), np.ceil(points.max(0))
    box = face[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
    colour: Float[np.ndarray, " 3"] = rgb2lab(box).mean((0, 1))
    return colour
