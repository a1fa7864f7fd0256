"""Rows of the tables beside a rendered database: one per capture, one per person.

Numbers have six digits; lists stand in one cell, their items separated by blanks.
"""

import math
from collections.abc import Mapping
from dataclasses import fields

from pcfh.nir_cameras import described
from pcfh_render.params import Lamp, Look, Person, Shot
from pcfh_render.shots import departure

Cell = str | int | float
Row = dict[str, Cell]


def person_row(person: Person) -> Row:
    """All that stays for life."""
    row: Row = {
        "age": person.age,
        "fitzpatrick": person.fitzpatrick,
        "melanin": person.melanin,
        "blood": person.blood,
        "hair_eumelanin": person.hair_eumelanin,
        "hair_pheomelanin": person.hair_pheomelanin,
        "iris": person.iris,
        "brow_width": person.brow_width,
        "brow_density": person.brow_density,
        "beard_growth": person.beard_growth,
        "hairline": person.hairline,
        "curl": person.curl,
        "freckles": person.freckles,
        "lips": person.lips,
        "moles": " ".join(f"{mole.vertex}:{mole.radius:.3f}:{mole.melanin:.3f}" for mole in person.moles),
        "seed": person.seed,
    }
    return row | {f"shape{number}": weight for number, weight in enumerate(person.shape)}


def capture_row(person: Person, look: Look, shot: Shot) -> Row:
    """All that a capture shows, and how it was taken."""
    return _person_and_look(person, look, shot) | _pose_and_light(shot) | _camera(shot) | _real(shot)


def written(row: Mapping[str, Cell]) -> dict[str, str]:
    """A row as it stands in a table."""
    return {name: f"{cell:.6g}" if isinstance(cell, float) else str(cell) for name, cell in row.items()}


def _person_and_look(person: Person, look: Look, shot: Shot) -> Row:
    return {
        "fitzpatrick": person.fitzpatrick,
        "melanin": person.melanin * look.tan,
        "blood": person.blood,
        "freckles": person.freckles,
        "iris": person.iris,
        "hair_eumelanin": person.hair_eumelanin,
        "hair_pheomelanin": person.hair_pheomelanin,
        "age": look.age,
        "hair_style": look.hair_style,
        "hair_length": look.hair_length,
        "grey": look.grey,
        "beard": look.beard,
        "beard_length": look.beard_length,
        "tan": look.tan,
        "glasses": look.glasses.kind if look.glasses and shot.glasses else "none",
        "clothes": look.clothes.kind,
    }


def _pose_and_light(shot: Shot) -> Row:
    across, above = _direction(shot)
    return {
        "expression": shot.expression,
        "weights": " ".join(f"{name}:{weight:.3f}" for name, weight in shot.weights),
        "departure": departure(shot),
        "yaw": shot.yaw,
        "pitch": shot.pitch,
        "roll": shot.roll,
        "light": shot.light,
        "kelvin": shot.kelvin,
        "lamps": len(shot.lamps),
        "ambient": sum(_power(lamp) for lamp in shot.lamps if lamp.kind == "ambient"),
        "light_yaw": across,
        "light_pitch": above,
        "background": " ".join(f"{value:.3f}" for value in shot.background),
        "background_light": shot.background_light,
    }


def _camera(shot: Shot) -> Row:
    camera = shot.camera
    return {
        "distance": camera.distance,
        "height": camera.height,
        "shift_x": camera.shift[0],
        "shift_y": camera.shift[1],
        "exposure": camera.exposure,
        "balance": " ".join(f"{gain:.3f}" for gain in camera.balance),
        "blur": camera.blur,
        "read_noise": camera.read_noise,
        "shot_noise": camera.shot_noise,
        "jpeg": camera.jpeg,
        "seed": shot.seed,
    }


def _real(shot: Shot) -> Row:
    """What captures of the difficulty "wild" have besides; of NIR ones what the camera did, too."""
    if shot.real is None:
        return {}
    row: Row = {"real_lens_bends": " ".join(f"{bend:.3f}" for bend in shot.real.bends)}
    for field in fields(shot.real):
        if field.name not in ("bends", "capture"):
            row[f"real_{field.name}"] = getattr(shot.real, field.name)
    nir = shot.modality == "NIR"
    return row | {f"nir_{name}": value if nir else "" for name, value in described(shot.real.capture).items()}


def _power(lamp: Lamp) -> float:
    """Irradiance of a lamp in its strongest band."""
    return max(lamp.colour)


def _direction(shot: Shot) -> tuple[float, float]:
    """Where the brightest lamp stands: degrees to the right of the camera and above it; 0, 0 without one."""
    placed = [lamp for lamp in shot.lamps if lamp.kind != "ambient"]
    x, y, z = max(placed, key=_power).position if placed else (0.0, 0.0, 1.0)
    return math.degrees(math.atan2(x, z)), math.degrees(math.atan2(y, math.hypot(x, z)))
