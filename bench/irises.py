"""How near to the true colour of irises any guess from a near-infrared image comes: a floor for generators.

    pcfh render dev --face-model FILE --recipe shifts --identities 80 --seed 1551 --nir 1 --vis 1
    python -m bench irises dev/NIR-VIS-2.0 [--generator FILE ...]

The measure is that of ``pcfh shifts``: Delta E 2000 over the pixels of both irises against the truth, the
mean over probes of the plain camera (``clean``). The guesses know the masks and the true irises of all other
people, which no generator knows:

    one colour           the mean colour of the others' irises
    colour of its grey   a line to colour from the near-infrared greys of the pixel, the iris and the skin

What lies between a guess and 0 is what near-infrared light does not tell.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from skimage.color import deltaE_ciede2000, rgb2lab
from tabulate import tabulate

from pcfh.databases.casia import read_casia
from pcfh.databases.records import Record
from pcfh.databases.rendered import Region, mask_crop, shows, truth_crop
from pcfh.evaluation.intervals import Bootstrap, mean_interval
from pcfh.evaluation.text_tables import plain_interval_text
from pcfh.geometry.align import align_face
from pcfh.hallucinate import Hallucinator
from pcfh.images import read_image
from pcfh.recipes.shift_suite import shifts_of

_SIZE = 128
_LEAST = 8  # pixels of an iris, as ``pcfh.evaluation.faithfulness``


@dataclass(frozen=True, kw_only=True)
class Irises:
    """The pixels of both irises of a probe.

    Attributes:
        person: whose they are.
        grey: the near-infrared greys of each pixel, of the irises' median, and of the skin's median.
        truth: true colours in CIELAB.
        made: those of generators.
    """

    person: str
    grey: Float[np.ndarray, "k 3"]
    truth: Float[np.ndarray, "k 3"]
    made: tuple[Float[np.ndarray, "k 3"], ...]


def main(arguments: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench irises", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("faces", type=Path, help="a rendered database of the recipe shifts")
    parser.add_argument(
        "--generator", nargs="*", type=Path, default=[], help="of 128 pixels, to stand beside"
    )
    options = parser.parse_args(arguments)
    generators = [Hallucinator.from_file(path, device="cpu") for path in options.generator]
    database = read_casia(options.faces)
    plain = next(name for name, shift in shifts_of(database).items() if shift == "clean")
    probes = database.protocol(plain).probe
    found = [one for probe in probes if (one := irises_of(options.faces, probe, generators))]
    print(f"{len(found)} of {len(probes)} probes show {_LEAST} pixels of an iris or more")
    people = np.array([one.person for one in found])
    rest = [_rest(found, one) for one in found]
    guesses = {
        "near-infrared image": [rgb2lab(np.repeat(one.grey[:, :1], 3, 1)) for one in found],
        "one colour": [
            np.tile(colours.mean(0), (len(one.truth), 1))
            for one, (_, colours) in zip(found, rest, strict=True)
        ],
        "colour of its grey": [_by_grey(others, one) for one, others in zip(found, rest, strict=True)],
        **{path.stem: [one.made[i] for one in found] for i, path in enumerate(options.generator)},
    }
    draws, rows = Bootstrap(), []
    for name, colours in guesses.items():
        errors = [deltaE_ciede2000(c, one.truth).mean() for c, one in zip(colours, found, strict=True)]
        interval = mean_interval(np.array(errors), people, draws)
        assert interval is not None  # there are several people
        rows.append((name, plain_interval_text(interval, 3)))
    print(tabulate(rows, ("iris painted by", "ΔE2000"), tablefmt="pipe", disable_numparse=True))
    return 0


def irises_of(home: Path, probe: Record, generators: Sequence[Hallucinator]) -> Irises | None:
    """The irises of a probe; None where they are hardly seen."""
    regions = mask_crop(home, probe, _SIZE)
    iris, skin = shows(regions, Region.IRIS), shows(regions, Region.SKIN)
    if iris.sum() < _LEAST:
        return None
    crop, points = align_face(read_image(home / probe.path), np.array(probe.landmarks), _SIZE)
    grey = crop[..., 0] / 255
    medians = np.tile([np.median(grey[iris]), np.median(grey[skin])], (int(iris.sum()), 1))
    made = (g.translate_batch(crop[None], points[None])[0] for g in generators)
    return Irises(
        person=probe.subject,
        grey=np.column_stack([grey[iris], medians]),
        truth=rgb2lab(truth_crop(home, probe, _SIZE)[iris]),
        made=tuple(rgb2lab(face[iris]) for face in made),
    )


def _rest(found: Sequence[Irises], own: Irises) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Greys and true colours of all others' pixels."""
    others = [one for one in found if one.person != own.person]
    return np.concatenate([one.grey for one in others]), np.concatenate([one.truth for one in others])


def _by_grey(
    others: tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]], own: Irises
) -> Float[np.ndarray, "k 3"]:
    """Colours by a linear regression on the greys."""
    greys, colours = others
    line, *_ = np.linalg.lstsq(np.column_stack([greys, np.ones(len(greys))]), colours, rcond=None)
    guess: Float[np.ndarray, "k 3"] = np.column_stack([own.grey, np.ones(len(own.grey))]) @ line
    return guess
