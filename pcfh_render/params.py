"""Who is rendered, how they look today, and how one picture of them is taken: plain data.

Three levels, drawn by ``sampling.py``: a ``Person`` for life, a ``Look`` for one session (years apart), a
``Shot`` for one capture. Together with the face model and the seeds in them they fix a picture.

Conventions:
    Centimetres and degrees. Head coordinates are the face model's: +x the person's left, +y up, +z out of
    the face. The camera stands on +z and looks along -z, so a positive yaw turns the face towards the
    right of the image, a positive pitch lifts it, a positive roll tilts the head clockwise in the
    image. Four numbers of a colour or a reflectance belong to the bands R, G, B and NIR (850 nm), linear.
"""

from dataclasses import dataclass
from typing import Literal

from pcfh.databases.records import Modality
from pcfh.nir_cameras import Capture
from pcfh_render.materials import IrisKind

Bands = tuple[float, float, float, float]
HairStyle = Literal[
    "bald", "cropped", "short", "side_part", "swept_back", "curly", "afro", "bob", "long", "tied"
]
BeardStyle = Literal["none", "stubble", "moustache", "goatee", "full"]
GlassesKind = Literal["rectangular", "round", "oval", "half_rim"]
ClothesKind = Literal["crew", "v_neck", "collar", "turtleneck", "hood"]


@dataclass(frozen=True, kw_only=True)
class Mole:
    """A dark spot on the skin.

    Attributes:
        vertex: of the face model, at its middle.
        radius: in centimetres.
        melanin: added to the skin's melanin fraction at the middle.
    """

    vertex: int
    radius: float
    melanin: float


@dataclass(frozen=True, kw_only=True)
class Person:
    """What stays for life.

    Attributes:
        subject: number of the person.
        seed: of everything that is drawn on the skin and of the brows' hairs.
        shape: weights of the face model's components of identity, in standard deviations.
        age: in years at the first session; folds, spots and grey hair grow with it.
        melanin: melanin fraction of the epidermis (see ``skin.py``), before tanning.
        blood: blood fraction of the dermis.
        fitzpatrick: skin type 1 to 6, for error rates by group.
        hair_eumelanin: of the hair, in the units of ``materials.hair``.
        hair_pheomelanin: the same.
        iris: kind of iris.
        brow_width: half width of the brows in centimetres.
        brow_density: 0 to 1.
        beard_growth: 0 none, 1 thick; what a razor leaves darkens the skin by it.
        hairline: how far the hair has receded, 0 to 1.
        curl: 0 straight, 1 tight curls.
        freckles: 0 none, 1 many.
        lips: how much redder than the skin the lips are, 0 to 1.
        moles: dark spots.
    """

    subject: int
    seed: int
    shape: tuple[float, ...]
    age: float
    melanin: float
    blood: float
    fitzpatrick: int
    hair_eumelanin: float
    hair_pheomelanin: float
    iris: IrisKind
    brow_width: float
    brow_density: float
    beard_growth: float
    hairline: float
    curl: float
    freckles: float
    lips: float
    moles: tuple[Mole, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Glasses:
    """A pair of glasses.

    Attributes:
        kind: form of the rims.
        width: of one lens, in centimetres.
        height: of one lens, in centimetres.
        rim: thickness of the frame, in centimetres.
        frame: reflectance of the frame.
    """

    kind: GlassesKind
    width: float
    height: float
    rim: float
    frame: Bands


@dataclass(frozen=True, kw_only=True)
class Clothes:
    """What covers the shoulders.

    Attributes:
        kind: cut at the neck.
        cloth: reflectance of the cloth.
        second: reflectance of its stripes, equal to ``cloth`` for plain ones.
    """

    kind: ClothesKind
    cloth: Bands
    second: Bands


@dataclass(frozen=True, kw_only=True)
class Look:
    """What changes over the years: one per person and session.

    Attributes:
        session: 1 to 4.
        seed: of the strands of hair.
        age: in years.
        hair_style: form of the hair.
        hair_length: of the longest strands, in centimetres.
        grey: share of hairs without pigment, 0 to 1.
        beard: style of the beard.
        beard_length: in centimetres.
        tan: factor on the melanin of the skin.
        glasses: the person's pair, or None; a shot says whether they are worn.
        clothes: of that day.
    """

    session: int
    seed: int
    age: float
    hair_style: HairStyle
    hair_length: float
    grey: float
    beard: BeardStyle
    beard_length: float
    tan: float
    glasses: Glasses | None
    clothes: Clothes


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """One source of light, in camera coordinates: origin in the middle of the head, +z to the camera.

    Attributes:
        kind: "ambient" from everywhere, "distant" from one direction, "point" from a place with
            inverse-square fall-off; there ``colour`` is what reaches the origin.
        position: direction towards the lamp (any length), or its place in centimetres; zeros for ambient.
        colour: irradiance at the origin per band.
        radius: of the lamp, in centimetres (point) or as a share of the distance (distant): soft shadows.
    """

    kind: Literal["ambient", "distant", "point"]
    position: tuple[float, float, float]
    colour: Bands
    radius: float


@dataclass(frozen=True, kw_only=True)
class Camera:
    """The camera and what it does to the picture.

    Attributes:
        distance: from the middle of the head, in centimetres.
        height: what the picture's height spans at that distance, in centimetres.
        shift: of the middle of the head from the middle of the picture, as shares of the side, (x, y).
        exposure: factor before the transfer curve; 1 maps a white diffuse patch under unit light to white.
        balance: gains on R, G and B that are left of the white balance.
        blur: standard deviation in pixels.
        read_noise: standard deviation at black, as a share of white, linear.
        shot_noise: standard deviation at white that grows with the square root of the light.
        jpeg: quality, 1 to 95.
    """

    distance: float
    height: float
    shift: tuple[float, float]
    exposure: float
    balance: tuple[float, float, float]
    blur: float
    read_noise: float
    shot_noise: float
    jpeg: int


@dataclass(frozen=True, kw_only=True)
class Real:
    """What captures of real cameras show beyond those of the other difficulties.

    Attributes:
        hair: factor on the pigment of the hair as near-infrared light finds it.
        thickness: how much pigment is met on the way through brows, lashes and beard to the skin and back, in
            the widths of a hair; the skin shines through the rest.
        pupil: radiance of the pupil under unit light in near infrared; 0 dark, above the skin's 0.5 bright.
        pupil_size: radius of the pupil in near infrared, in centimetres.
        shine: factor on what skin mirrors.
        pores: factor on the small relief of the skin.
        coating: factor on what glasses mirror in near infrared; coatings are made for visible light.
        spot: sharpness of lamps in lenses, 2500 for a small one.
        bends: how much both faces of the lenses are curved.
        panels: number of things behind the person.
        wall_blur: how far out of focus these are, as a share of the side.
        lamp: radiance of a lamp in the picture, 0 for none.
        capture: what the near-infrared camera does to the picture.
    """

    hair: float
    thickness: float
    pupil: float
    pupil_size: float
    shine: float
    pores: float
    coating: float
    spot: float
    bends: tuple[float, float]
    panels: int
    wall_blur: float
    lamp: float
    capture: Capture


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One capture.

    Attributes:
        modality: "NIR" or "VIS".
        seed: of sensor noise, background and the like.
        expression: name for the tables: neutral, happiness, surprise, anger, sadness, disgust, fear, mixed.
        weights: of the face model's named shapes, with lids and gaze.
        yaw: in degrees, as roll and pitch.
        pitch: see above.
        roll: see above.
        glasses: whether the person's glasses are worn.
        light: name for the tables: soft, directed, harsh, or flash.
        kelvin: colour temperature of the brightest lamp, 0 in near infrared.
        real: what real cameras' captures show, None for the other difficulties.
        lamps: all light.
        background: reflectance of the wall behind, before its own light.
        background_light: factor on the light that falls on the wall.
        camera: see there.
    """

    modality: Modality
    seed: int
    expression: str
    weights: tuple[tuple[str, float], ...]
    yaw: float
    pitch: float
    roll: float
    glasses: bool
    lamps: tuple[Lamp, ...]
    background: Bands
    background_light: float
    camera: Camera
    light: str = ""
    kelvin: float = 0.0
    real: Real | None = None
