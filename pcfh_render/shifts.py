"""The suite of shifts: the same captures of a plain camera, and each with one thing that real cameras have.

All shifts of a capture show the same moment, so whatever a recogniser or a generator loses by one of them, it
loses by that alone. They are in the order in which a renderer makes them: those that only the camera makes
come first and share the light of the first.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pcfh.nir_cameras import Capture
from pcfh_render.lamps import beside_the_lens
from pcfh_render.params import Look, Person, Real, Shot
from pcfh_render.sampling import draw_glasses
from pcfh_render.streams import generator

_BETWEEN_EYES = 6.2  # centimetres from pupil to pupil
_PLAIN = Real(
    hair=1.0,
    thickness=1e6,  # no light passes hair, as in the other difficulties
    pupil=0.0,
    pupil_size=0.27,
    shine=1.0,
    pores=1.0,
    coating=1.0,
    spot=2500.0,
    bends=(1.0, 0.25),
    panels=0,
    wall_blur=0.01,
    lamp=0.0,
    capture=Capture(noise=0.003, defocus=0.004, shoulder=0.2),
)


def plain(shot: Shot) -> Shot:
    """A capture as the plain camera takes it."""
    return replace(shot, real=_PLAIN)


def _taken(**changes: Any) -> Callable[[Shot, int], Shot]:
    """A shift that the camera alone makes."""

    def shifted(shot: Shot, size: int) -> Shot:
        assert shot.real is not None
        return replace(shot, real=replace(shot.real, capture=replace(shot.real.capture, **changes)))

    return shifted


def _seen(**changes: Any) -> Callable[[Shot, int], Shot]:
    """A shift that lies before the camera."""

    def shifted(shot: Shot, size: int) -> Shot:
        assert shot.real is not None
        return replace(shot, real=replace(shot.real, **changes))

    return shifted


def _eyes_apart(pixels: int) -> Callable[[Shot, int], Shot]:
    """A picture that was once so small that the eyes were so many pixels apart."""

    def shifted(shot: Shot, size: int) -> Shot:
        now = size * _BETWEEN_EYES / shot.camera.height
        return _taken(shrink=max(1.0, now / pixels))(shot, size)

    return shifted


def _glare(shot: Shot, size: int) -> Shot:
    """Glasses of a coating for visible light, curved so that lamps beside the lens are seen in them."""
    worn = _seen(coating=6.0, spot=110.0, bends=(1.2, 0.8))(shot, size)
    return replace(worn, glasses=True, lamps=beside_the_lens(shot.camera.distance))


def _grey(shot: Shot, size: int) -> Shot:
    """A lit room with things in it."""
    return replace(_seen(panels=6)(shot, size), background_light=0.8)


SHIFTS: Mapping[str, Callable[[Shot, int], Shot]] = MappingProxyType(
    {
        "clean": lambda shot, size: shot,
        "exposure 1/2": _taken(stops=-1.0),
        "exposure 1/4": _taken(stops=-2.0),
        "exposure 1/8": _taken(stops=-3.0),
        "eyes 48 pixels apart": _eyes_apart(48),
        "eyes 24 pixels apart": _eyes_apart(24),
        "blur": _taken(defocus=0.02),
        "compression": _taken(quality=15.0),
        "margins": _taken(margin="white", margin_width=0.14),
        "lamp in the picture": _seen(lamp=25.0),
        "glare on glasses": _glare,
        "bright pupils": _seen(pupil=1.3, pupil_size=0.3),
        "grey surroundings": _grey,
        "light brows": _seen(thickness=0.5, hair=0.3),
    }
)


def with_glasses(person: Person, look: Look) -> Look:
    """The look with a pair of glasses to put on, the person's own or a borrowed one."""
    if look.glasses is not None:
        return look
    return replace(look, glasses=draw_glasses(generator("borrowed glasses", person.seed)))


def shifted_shots(shots: tuple[Shot, ...], size: int) -> tuple[tuple[Shot, str], ...]:
    """Each near-infrared capture under each shift, with the shift's name; VIS captures as they are.

    Args:
        shots: of a plain difficulty.
        size: side of the pictures.
    """
    shifted = [
        (shift(plain(shot), size), name)
        for shot in shots
        if shot.modality == "NIR"
        for name, shift in SHIFTS.items()
    ]
    return (*shifted, *((plain(shot), "") for shot in shots if shot.modality == "VIS"))
