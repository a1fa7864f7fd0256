"""Recipes of rendered databases: all that decides what is in them, by name or by hand."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from pcfh.errors import UserError
from pcfh_render.difficulty import difficulty_of
from pcfh_render.series import LIGHTS, SERIES, captures_of
from pcfh_render.shifts import SHIFTS
from pcfh_render.streams import generator

SESSIONS = 4
_DEV = "dev"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a database holds; equal recipes give equal databases.

    Attributes:
        identities: how many people.
        seed: of everything; databases of different seeds have no person in common.
        first: number of the first person. People of one seed and number are the same in every database, so
            those of another range of numbers are others.
        nir: NIR captures of a person, on average.
        vis: VIS captures of a person, on average.
        difficulty: "easy", "casia", "hard" or "wild".
        sessions: how many, 1 to 4.
        returning: share of people who were recorded in two sessions.
        folds: of View 2; 0 writes no lists at all.
        size: side of the pictures in pixels.
        quality: JPEG quality of the truth images, and the highest of the captures.
        truth_fold: 0 renders the true VIS image of every NIR capture; the number of a fold, only those of
            who are tested in it, since training by the paper needs none.
        masks: whether what each pixel shows is kept, see ``pcfh.databases.rendered.Region``.
        shifts: whether each near-infrared capture is taken again under each shift of ``shifts.SHIFTS`` alone;
            there is a fold for each shift, in which all but the last person are tested.
        series: "buaa" or "oulu": captures in the fixed order and the layout of that database, see
            ``pcfh_render.series``; numbers of captures, sessions and folds then mean nothing.
        lights: of "oulu": the strongest so many of its lights, 0 for all.
    """

    identities: int
    seed: int
    first: int = 1
    nir: int = 17
    vis: int = 7
    difficulty: str = "casia"
    sessions: int = SESSIONS
    returning: float = 0.02
    folds: int = 10
    size: int = 256
    quality: int = 95
    truth_fold: int = 0
    masks: bool = False
    shifts: bool = False
    series: str = ""
    lights: int = 0

    @property
    def subjects(self) -> range:
        """The numbers of the people."""
        return range(self.first, self.first + self.identities)

    def described(self) -> dict[str, Any]:
        """All settings by name, as a database tells them; those of ``LATER`` only where they are set."""
        return {name: value for name, value in asdict(self).items() if value or name not in LATER}

    def check(self) -> None:
        """Refuses what cannot be rendered.

        Raises:
            UserError: which number is wrong, and what would be right.
        """
        difficulty_of(self.difficulty)
        for name, low, high in _LIMITS:
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"expected {name} of {low} to {high}, got {value}")
        halves = math.comb(self.identities, self.identities // 2)
        if self.folds and halves < self.folds + 1:
            raise UserError(
                f"{self.identities} people can be halved in {halves} ways only, too few for {self.folds} "
                "folds and View 1; take more people or fewer folds"
            )
        if self.folds and not self.nir:
            raise UserError("folds need NIR captures to be recognised; take some, or --folds 0")
        if self.shifts and (self.folds or self.identities < 2 or not self.nir):
            raise UserError("the shifts are the folds: give --folds 0, 2 people or more, and NIR captures")
        if self.series and (self.series not in SERIES or self.folds or self.shifts or self.masks):
            raise UserError(
                f"expected a series of {', '.join(SERIES)}, no folds, shifts or masks, got {self.series!r}"
            )
        if self.lights and self.series != "oulu":
            raise UserError(f"expected lights of the series oulu alone, got {self.lights} of {self.series!r}")
        if self.truth_fold > self.folds:
            raise UserError(f"expected a truth fold of 0 to {self.folds}, got {self.truth_fold}")


LATER = (
    "truth_fold",
    "masks",
    "shifts",
    "series",
    "lights",
)  # came after the first databases; nothing where they are not set
_LIMITS: tuple[tuple[str, float, float], ...] = (
    ("identities", 1, 99_999),
    ("first", 1, 99_999),
    ("seed", 0, 2**32 - 1),
    ("nir", 0, 999),
    ("vis", 1, 999),
    ("sessions", 1, SESSIONS),
    ("returning", 0, 1),
    ("folds", 0, 99),
    ("size", 16, 2048),
    ("quality", 1, 95),
    ("truth_fold", 0, 99),
    ("lights", 0, LIGHTS),
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "sf": Recipe(identities=715, seed=2019),
        "sf-mini": Recipe(identities=160, seed=2019),
        "sample": Recipe(identities=48, seed=2019, first=161, nir=3, vis=2, folds=2, quality=85),
        "recogniser": Recipe(identities=2000, seed=715, nir=0, vis=8, returning=0.5, folds=0),
        "wild": Recipe(
            identities=5000, seed=850, nir=3, vis=3, difficulty="wild", folds=0, size=288, masks=True
        ),
        # 80 people are tested; lists must name somebody who trains.
        "shifts": Recipe(
            identities=81,
            seed=1550,
            nir=2,
            vis=2,
            difficulty="close",
            folds=0,
            size=288,
            masks=True,
            shifts=True,
        ),
        # As many people as the databases have, or as the protocol of Oulu-CASIA draws.
        "sf-buaa": Recipe(identities=150, seed=2012, folds=0, sessions=1, series="buaa"),
        "sf-oulu": Recipe(identities=40, seed=2009, first=41, folds=0, sessions=1, series="oulu"),
    }
)


def recipe_of(name: str) -> Recipe:
    """Looks a recipe up.

    Raises:
        UserError: there is none of that name.
    """
    if name not in RECIPES:
        raise UserError(f"expected a recipe of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """One person in one session, with the numbers of captures there.

    Attributes:
        session: 1 to 4.
        nir: moments in near infrared.
        vis: captures in visible light.
        takes: of each of those moments.
    """

    session: int
    nir: int
    vis: int
    takes: int = 1

    @property
    def captures(self) -> int:
        """All of them."""
        return self.nir * self.takes + self.vis


def sittings(recipe: Recipe, subject: int) -> tuple[Sitting, ...]:
    """When a person was recorded, and how often.

    The numbers of captures vary by a quarter around those of the recipe.
    """
    if recipe.series:
        nir, vis = captures_of(recipe.series, recipe.lights)
        return (Sitting(session=1, nir=nir, vis=vis),)
    rng = generator("sittings", recipe.seed, subject)
    sessions = sorted((1 + rng.permutation(recipe.sessions)[:2]).tolist())
    returns = len(sessions) == 2 and rng.uniform() < recipe.returning
    chosen = sessions if returns else [sessions[int(rng.integers(len(sessions)))]]
    nir, vis = (
        int(rng.integers(mean - mean // 4, mean + mean // 4, endpoint=True))
        for mean in (recipe.nir, recipe.vis)
    )
    nirs, viss = _dealt(nir, len(chosen)), _dealt(vis, len(chosen))
    takes = len(SHIFTS) if recipe.shifts else 1
    return tuple(
        Sitting(session=s, nir=n, vis=v, takes=takes) for s, n, v in zip(chosen, nirs, viss, strict=True)
    )


def training_people(recipe: Recipe) -> dict[str, frozenset[int]]:
    """Who trains in each protocol, about half of the people; all others are tested.

    Protocols are the folds of View 2 ("1", "2", ...) and View 1 ("dev"); no two have the same halves.
    """
    if recipe.series:
        return {}  # whoever reads the database draws who trains
    if recipe.shifts:
        return {str(fold): frozenset(recipe.subjects[-1:]) for fold in range(1, len(SHIFTS) + 1)}
    rng = generator("folds", recipe.seed)
    names = [str(fold) for fold in range(1, recipe.folds + 1)] + [_DEV] * bool(recipe.folds)
    halves: dict[frozenset[int], None] = {}
    while len(halves) < len(names):
        drawn = recipe.first + rng.permutation(recipe.identities)[: recipe.identities // 2]
        halves[frozenset(drawn.tolist())] = None
    return dict(zip(names, halves, strict=True))


def people_with_truth(recipe: Recipe) -> frozenset[int]:
    """Those whose NIR captures have a true VIS image; see ``Recipe.truth_fold``."""
    everyone = frozenset(recipe.subjects)
    return everyone - training_people(recipe)[str(recipe.truth_fold)] if recipe.truth_fold else everyone


def _dealt(total: int, hands: int) -> list[int]:
    """A number dealt out as evenly as can be."""
    return [total // hands + (hand < total % hands) for hand in range(hands)]
