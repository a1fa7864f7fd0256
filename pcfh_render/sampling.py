"""Draws people, their looks over the years and their captures.

Everything is drawn from generators of its own, seeded by what it belongs to (database seed and subject,
session, capture): any person can be drawn alone, and more captures leave the others as they are. What
several things share, such as the habits behind all looks of a person, is drawn again from the person's seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, get_args

import numpy as np
from jaxtyping import Float

from pcfh_render.facemodel import COMPONENTS
from pcfh_render.materials import IRIS_KINDS, cloth, frame
from pcfh_render.params import (
    Bands,
    BeardStyle,
    Clothes,
    ClothesKind,
    Glasses,
    GlassesKind,
    HairStyle,
    Look,
    Mole,
    Person,
)
from pcfh_render.skin import melanin_of_type
from pcfh_render.streams import generator

Choice = TypeVar("Choice", bound=str)

YEARS = (0.0, 2.3, 2.6, 3.3)  # from the first session of CASIA NIR-VIS 2.0 (2007) to each of the four
_SPREAD = 0.9  # of the components of identity: with 1, every tenth head looks odd
_FRONT = 6706  # vertices of the front of the face come first

# Hair colours as eumelanin and pheomelanin, lowest and highest (units of ``materials.hair``), and how common
# they are with the skin types I and II, III, and IV to VI.
_HAIR: Mapping[str, tuple[float, float, float, float]] = {
    "black": (2.0, 4.0, 0.0, 0.1),
    "dark_brown": (0.7, 1.5, 0.0, 0.15),
    "brown": (0.2, 0.6, 0.02, 0.15),
    "blond": (0.02, 0.1, 0.02, 0.06),
    "red": (0.01, 0.06, 0.2, 0.5),
}
_HAIR_SHARES = ((0.04, 0.2, 0.34, 0.28, 0.14), (0.28, 0.38, 0.26, 0.06, 0.02), (0.78, 0.2, 0.02, 0.0, 0.0))
# In the order of ``materials.IRIS_KINDS``, for the same three groups.
_IRIS_SHARES = (
    (0.04, 0.20, 0.17, 0.15, 0.31, 0.13),
    (0.25, 0.45, 0.15, 0.06, 0.06, 0.03),
    (0.70, 0.29, 0.01, 0.00, 0.00, 0.00),
)

# How common each style of hair is with short-haired and with long-haired people; curls come on top.
_STYLES: Mapping[HairStyle, tuple[float, float]] = {
    "bald": (0.03, 0.0),
    "cropped": (0.22, 0.02),
    "short": (0.33, 0.08),
    "side_part": (0.24, 0.05),
    "swept_back": (0.12, 0.06),
    "bob": (0.02, 0.26),
    "long": (0.02, 0.28),
    "tied": (0.02, 0.25),
}
_CURLED: Mapping[HairStyle, HairStyle] = {
    "short": "curly",
    "side_part": "curly",
    "swept_back": "curly",
    "bob": "afro",
    "long": "curly",
}
_LENGTHS: Mapping[HairStyle, tuple[float, float]] = {
    "bald": (0.0, 0.1),
    "cropped": (0.4, 1.5),
    "short": (2.0, 5.0),
    "side_part": (4.0, 9.0),
    "swept_back": (4.0, 9.0),
    "curly": (4.0, 12.0),
    "afro": (3.0, 10.0),
    "bob": (18.0, 28.0),
    "long": (30.0, 50.0),
    "tied": (25.0, 45.0),
}
_BEARD_LENGTHS: Mapping[BeardStyle, tuple[float, float]] = {
    "none": (0.0, 0.0),
    "stubble": (0.05, 0.4),
    "moustache": (0.4, 1.2),
    "goatee": (0.4, 2.0),
    "full": (0.6, 3.5),
}


@dataclass(frozen=True, kw_only=True)
class _Habits:
    """What is behind all looks of a person.

    Attributes:
        feminine: 0 to 1, mostly near the ends; it shifts hair, beard and brows and decides none of them.
        style: hair of most years.
        bearded: likelihood of a beard, in years when one can grow.
        beard: the style of it.
        greying: age at which half of the hairs are grey.
        spectacled: whether the person owns glasses.
        kind: form of those.
        outdoors: how much the skin tans, 0 to 1.
    """

    feminine: float
    style: HairStyle
    bearded: float
    beard: BeardStyle
    greying: float
    spectacled: bool
    kind: GlassesKind
    outdoors: float


def draw_person(seed: int, subject: int) -> Person:
    """Draws a person.

    Args:
        seed: of the database.
        subject: number of the person; each six in a row have all six skin types.
    """
    rng = generator("person", seed, subject)
    own = int(rng.integers(1 << 32))
    feminine, age = _feminine(own), 18 + 52 * rng.beta(1.3, 2.6)
    skin_type = _skin_type(seed, subject)
    group = 0 if skin_type <= 2 else 1 if skin_type == 3 else 2
    eumelanin, pheomelanin = _pigment(rng, group)
    return Person(
        subject=subject,
        seed=own,
        shape=tuple((_SPREAD * rng.standard_normal(COMPONENTS)).tolist()),
        age=float(age),
        melanin=melanin_of_type(skin_type, float(rng.uniform())),
        blood=float(np.clip(0.010 * math.exp(rng.normal(0, 0.35)), 0.004, 0.03)),
        fitzpatrick=skin_type,
        hair_eumelanin=eumelanin,
        hair_pheomelanin=pheomelanin,
        iris=_pick(rng, IRIS_KINDS, _IRIS_SHARES[group]),
        brow_width=float(rng.uniform(0.20, 0.38) - 0.07 * feminine),
        brow_density=float(np.clip(rng.normal(0.6 - 0.1 * feminine, 0.18), 0.15, 1.0)),
        beard_growth=float(np.clip(rng.normal(0.8 - 1.5 * feminine, 0.28), 0.0, 1.0)),
        hairline=float(np.clip(rng.normal((1 - feminine) * (age - 25) / 60, 0.15), 0.0, 1.0)),
        curl=float(rng.beta(*((0.8, 2.4), (0.9, 2.4), (1.0, 1.6))[group])),
        freckles=_freckles(rng, skin_type, pheomelanin),
        lips=float(rng.uniform(0.25, 0.85) + 0.15 * feminine),
        moles=_moles(rng, age),
    )


def draw_look(person: Person, session: int) -> Look:
    """Draws how a person looks in one session.

    Args:
        person: whose ``age`` is that of the first session.
        session: 1 to 4.
    """
    rng = generator("look", person.seed, session)
    habits = _habits(person)
    age = person.age + YEARS[session - 1]
    style = habits.style if rng.uniform() < 0.7 else _style(rng, habits.feminine, person)
    beard = _beard(rng, habits, person)
    return Look(
        session=session,
        seed=int(rng.integers(1 << 32)),
        age=age,
        hair_style=style,
        hair_length=float(rng.uniform(*_LENGTHS[style])),
        grey=float(np.clip(1 / (1 + math.exp((habits.greying - age) / 4)) + rng.normal(0, 0.01), 0.0, 1.0)),
        beard=beard,
        beard_length=float(rng.uniform(*_BEARD_LENGTHS[beard])),
        tan=float(1 + habits.outdoors * rng.uniform(-0.1, 0.35)),
        glasses=_glasses(rng, habits) if habits.spectacled else None,
        clothes=_clothes(rng),
    )


def _feminine(own_seed: int) -> float:
    """The hidden variable of a person: two overlapping hills."""
    rng = generator("feminine", own_seed)
    value = rng.beta(2.0, 7.0)
    return float(value if rng.uniform() < 0.5 else 1 - value)


def _habits(person: Person) -> _Habits:
    """The habits of a person, the same whenever they are drawn."""
    rng = generator("habits", person.seed)
    feminine = _feminine(person.seed)
    return _Habits(
        feminine=feminine,
        style=_style(rng, feminine, person),
        bearded=float(rng.beta(1.0, 0.9)),
        beard=_pick(rng, get_args(BeardStyle)[1:], (0.36, 0.14, 0.17, 0.33)),
        greying=float(rng.normal(56, 8)),
        spectacled=bool(rng.uniform() < 0.25 + 0.006 * (person.age - 18)),
        kind=_pick(rng, get_args(GlassesKind), (0.45, 0.17, 0.2, 0.18)),
        outdoors=float(rng.uniform()),
    )


def _skin_type(seed: int, subject: int) -> int:
    """Skin type of a person: every block of six people has each type once."""
    block, place = divmod(subject, 6)
    return int(generator("skin", seed, block).permutation(6)[place]) + 1


def _pigment(rng: np.random.Generator, group: int) -> tuple[float, float]:
    """Eumelanin and pheomelanin of the hair of a person of one of the three groups of skin types."""
    low, high, least, most = _HAIR[_pick(rng, tuple(_HAIR), _HAIR_SHARES[group])]
    return float(rng.uniform(low, high)), float(rng.uniform(least, most))


def _freckles(rng: np.random.Generator, skin_type: int, pheomelanin: float) -> float:
    """Freckles go with light skin and red hair."""
    likely = {1: 0.5, 2: 0.3, 3: 0.12}.get(skin_type, 0.02) + min(pheomelanin, 0.5)
    amount = rng.beta(1.2, 2.0)
    return float(amount) if rng.uniform() < likely else 0.0


def _moles(rng: np.random.Generator, age: float) -> tuple[Mole, ...]:
    """Zero to nine moles, more with age."""
    number = min(9, int(rng.poisson(1.0 + age / 25)))
    return tuple(
        Mole(
            vertex=int(rng.integers(_FRONT)),
            radius=float(rng.uniform(0.06, 0.22)),
            melanin=float(rng.uniform(0.1, 0.45)),
        )
        for _ in range(number)
    )


def _style(rng: np.random.Generator, feminine: float, person: Person) -> HairStyle:
    """A style of hair that the person's hairs can be brought into."""
    leaning = feminine**2 * (3 - 2 * feminine)  # styles are further apart than what grows
    shares = [(1 - leaning) * short + leaning * long for short, long in _STYLES.values()]
    style = _pick(rng, tuple(_STYLES), shares)
    if person.hairline > 0.55 and feminine < 0.6 and rng.uniform() < person.hairline:
        return _pick(rng, ("bald", "cropped"), (0.6, 0.4))
    return _CURLED.get(style, style) if rng.uniform() < 1.6 * (person.curl - 0.3) else style


def _beard(rng: np.random.Generator, habits: _Habits, person: Person) -> BeardStyle:
    """The beard of one session: the usual one, another one, or none."""
    if person.beard_growth < 0.2 or rng.uniform() > habits.bearded * person.beard_growth * 1.3:
        return "stubble" if person.beard_growth > 0.4 and rng.uniform() < 0.2 else "none"
    other = _pick(rng, get_args(BeardStyle)[1:], (0.5, 0.1, 0.15, 0.25))
    chosen = habits.beard if rng.uniform() < 0.7 else other
    return "stubble" if person.beard_growth < 0.4 else chosen


def _glasses(rng: np.random.Generator, habits: _Habits) -> Glasses:
    """The glasses of one session; most people stay with one form."""
    return _pair(rng, habits.kind if rng.uniform() < 0.7 else _pick(rng, get_args(GlassesKind), (0.25,) * 4))


def draw_glasses(rng: np.random.Generator) -> Glasses:
    """Draws some pair of glasses."""
    return _pair(rng, _pick(rng, get_args(GlassesKind), (0.25,) * 4))


def _pair(rng: np.random.Generator, kind: GlassesKind) -> Glasses:
    """A pair of glasses of some form."""
    width = rng.uniform(4.7, 5.6)
    flatness = {"round": 0.95, "oval": 0.72}.get(kind, 0.62)
    metal = rng.uniform() < 0.4
    return Glasses(
        kind=kind,
        width=float(width),
        height=float(width * flatness * rng.uniform(0.94, 1.06)),
        rim=float(rng.uniform(0.08, 0.16) if metal else rng.uniform(0.18, 0.42)),
        frame=_bands(frame("metal" if metal else "plastic", rng)),
    )


def _clothes(rng: np.random.Generator) -> Clothes:
    """The clothes of one day."""
    kind: ClothesKind = _pick(rng, get_args(ClothesKind), (0.36, 0.15, 0.27, 0.08, 0.14))
    plain = _bands(cloth(rng))
    return Clothes(kind=kind, cloth=plain, second=_bands(cloth(rng)) if rng.uniform() < 0.2 else plain)


def _bands(values: Float[np.ndarray, " 4"]) -> Bands:
    """Four numbers as plain floats."""
    red, green, blue, nir = values.tolist()
    return red, green, blue, nir


def _pick(rng: np.random.Generator, names: Sequence[Choice], shares: Sequence[float]) -> Choice:
    """One of some names, each as often as its share of the sum says."""
    edges = np.cumsum(shares)
    return names[min(int(np.searchsorted(edges, rng.uniform() * edges[-1], side="right")), len(names) - 1)]
