"""Expressions, gaze and lids as weights of the face model's named shapes.

``_L`` and ``_R`` are the person's own left and right. Angles in degrees; a positive horizontal gaze goes to
the person's left, which is the right of the image, as a positive yaw does; a positive vertical one goes up.
"""

from collections.abc import Mapping

import numpy as np

from pcfh_render.difficulty import Difficulty

Weights = dict[str, float]

# The six basic expressions at full strength; names without side stand for both.
BASIC: Mapping[str, Mapping[str, float]] = {
    "happiness": {"mouthSmile": 0.9, "cheekSquint": 0.7, "eyeSquint": 0.25, "mouthDimple": 0.15},
    "surprise": {"jawOpen": 0.55, "eyeWide": 0.9, "browInnerUp": 0.9, "browOuterUp": 0.9},
    "anger": {"browDown": 1.0, "noseSneer": 0.45, "mouthPress": 0.8, "eyeSquint": 0.35},
    "sadness": {"mouthFrown": 0.9, "browInnerUp": 0.8, "mouthShrugLower": 0.4},
    "disgust": {"noseSneer": 1.0, "mouthUpperUp": 0.7, "browDown": 0.35, "cheekSquint": 0.5},
    "fear": {"eyeWide": 0.9, "browInnerUp": 0.9, "mouthStretch": 0.8, "jawOpen": 0.2},
}
# What faces do beside expressing something, each a little and now and then.
_IDLE = ("mouthSmile", "mouthPress", "browInnerUp", "browDown", "eyeSquint", "mouthFrown", "mouthDimple")
_SINGLE = frozenset(
    {"jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft"}
    | {"mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"}
)
_EYE_DEGREES = 30.0  # that an eye turns at full weight of an eyeLook shape


def symmetric(weights: Mapping[str, float], strength: float) -> Weights:
    """An expression that is the same on both sides, in the names of the face model."""
    return {
        name if name in _SINGLE else f"{name}_{side}": strength * weight
        for name, weight in weights.items()
        for side in "LR"
    }


def draw_expression(rng: np.random.Generator, difficulty: Difficulty, *, calm: bool) -> tuple[str, Weights]:
    """Draws an expression: its name for the tables, and weights.

    Args:
        rng: of the capture.
        difficulty: see there.
        calm: neutral in any case.
    """
    expressive, strength = rng.uniform() < difficulty.expressive, rng.uniform(*difficulty.strength)
    first, second = rng.permutation(tuple(BASIC))[:2].tolist()
    mixed, share = rng.uniform() < 0.2, rng.uniform(0.35, 0.65)
    open_mouth = max(0.0, rng.uniform(-0.25, 0.3))
    weights = _idle(rng)
    if calm or not expressive:
        return "neutral", _sided(rng, weights, difficulty.uneven)
    parts = {first: strength * share, second: strength * (1 - share)} if mixed else {first: strength}
    for name, amount in parts.items():
        _add(weights, BASIC[name], amount)
    if first in ("happiness", "anger") and not mixed:
        _add(weights, {"jawOpen": 1.0}, open_mouth * strength)
    return "mixed" if mixed else first, _sided(rng, weights, difficulty.uneven)


def draw_eyes(
    rng: np.random.Generator, difficulty: Difficulty, *, yaw: float, pitch: float, calm: bool
) -> Weights:
    """Draws gaze and lids: mostly at the camera, whatever the head's pose.

    Args:
        rng: of the capture.
        difficulty: see there.
        yaw: of the head.
        pitch: of the head.
        calm: no blink in any case.
    """
    follows = rng.uniform(0.6, 1.0) if rng.uniform() < 0.75 else 0.0
    left = -follows * yaw + rng.normal(0, difficulty.gaze)
    up = -follows * pitch + rng.normal(0, 0.6 * difficulty.gaze)
    weights = gaze(float(left), float(up))
    blinks, closed = rng.uniform() < difficulty.blinking, rng.uniform(0.45, 1.0)
    lids = closed if blinks and not calm else max(0.0, rng.normal(0.02, 0.06))
    return weights | {"eyeBlink_L": float(lids), "eyeBlink_R": float(lids)}


def gaze(left: float, up: float) -> Weights:
    """Weights that turn both eyes in parallel, at most to the end of their shapes."""
    across, along = (float(np.clip(angle / _EYE_DEGREES, -1, 1)) for angle in (left, up))
    sideways = ("eyeLookOut_L", "eyeLookIn_R") if across > 0 else ("eyeLookIn_L", "eyeLookOut_R")
    upright = ("eyeLookUp_L", "eyeLookUp_R") if along > 0 else ("eyeLookDown_L", "eyeLookDown_R")
    return dict.fromkeys(sideways, abs(across)) | dict.fromkeys(upright, abs(along))


def merged(expression: Weights, eyes: Weights) -> tuple[tuple[str, float], ...]:
    """All weights of a capture in the order of their names; lids that close are not torn open."""
    total = expression | eyes
    for side in "LR":
        closed = total[f"eyeBlink_{side}"]
        for name in (f"eyeWide_{side}", f"eyeSquint_{side}"):
            if name in total:
                total[name] *= max(0.0, 1 - 2 * closed)
    return tuple((name, round(total[name], 4)) for name in sorted(total) if total[name] > 5e-4)


def _idle(rng: np.random.Generator) -> Weights:
    """A little of something, as nobody's face is quite at rest."""
    amounts = rng.uniform(-0.25, 0.12, len(_IDLE)).clip(0)
    return {name: float(amount) for name, amount in zip(_IDLE, amounts, strict=True) if amount > 0}


def _add(weights: Weights, shapes: Mapping[str, float], amount: float) -> None:
    """Adds an expression of some strength."""
    for name, weight in shapes.items():
        weights[name] = weights.get(name, 0.0) + amount * weight


def _sided(rng: np.random.Generator, weights: Weights, uneven: float) -> Weights:
    """Splits every shape into its sides, one a little stronger than the other."""
    lean = float(np.clip(rng.normal(0, uneven), -0.6, 0.6))
    sided: Weights = {}
    for name, weight in weights.items():
        sides = {"": 1.0} if name in _SINGLE else {"_L": 1 + lean, "_R": 1 - lean}
        sided |= {name + side: float(np.clip(weight * factor, 0, 1)) for side, factor in sides.items()}
    return sided
