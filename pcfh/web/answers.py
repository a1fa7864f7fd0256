"""What programs and the page get as JSON. The OpenAPI document is made of these classes.

Pictures are data addresses (PNG, the photograph JPEG) or paths of this server. Coordinates are (x, y) in
pixels, whole numbers at pixel centres. Scores are cosines, higher is more alike.
"""

from dataclasses import dataclass, field

from pcfh.web.engine import Box
from pcfh.web.limits import Limits

Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Why a request was refused.

    Attributes:
        error: a sentence that says what was expected, what came and what to do.
    """

    error: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """It is done; there is nothing to say."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What computes here.

    Attributes:
        version: of the program.
        size: side of the generated faces in pixels.
        generator: SHA-256 of its file.
        recognizer: name.
    """

    version: str
    size: int
    generator: str
    recognizer: str


@dataclass(frozen=True, kw_only=True)
class EnrolledFace:
    """A photograph of the visitor's own gallery.

    Attributes:
        id: of the photograph.
        name: of the person.
        source: name of the photograph's file.
        picture: path of the aligned face.
        notes: what is to be said of the photograph when it is enrolled, one line each.
    """

    id: str
    name: str
    source: str
    picture: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class BatchFailure:
    """A photograph of a batch without a generated face."""

    source: str
    error: str


@dataclass(frozen=True, kw_only=True)
class BatchSoFar:
    """What the visitor's batch holds: the number of generated faces, and what failed."""

    made: int
    failed: list[BatchFailure]


@dataclass(frozen=True, kw_only=True)
class ServedGallery:
    """The gallery that the server searches.

    Attributes:
        name: of it.
        faces: photographs in it.
        rates: false-accept rates for which it has a threshold.
    """

    name: str
    faces: int
    rates: list[float]


@dataclass(frozen=True, kw_only=True)
class State:
    """What the page needs to begin.

    Attributes:
        limits: how much visitors may upload and keep.
        model: what computes.
        gallery: the visitor's own.
        batch: the visitor's; null without a session.
        served: the server's gallery; null where it has none.
    """

    limits: Limits
    model: Model
    gallery: list[EnrolledFace]
    batch: BatchSoFar | None
    served: ServedGallery | None


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photograph as it is shown, at most 720 pixels long, with the 68 landmarks of its face."""

    image: str
    width: int
    height: int
    landmarks: Points


@dataclass(frozen=True, kw_only=True)
class Crop:
    """The aligned face, with its landmarks."""

    image: str
    landmarks: Points


@dataclass(frozen=True, kw_only=True)
class Translated:
    """A near-infrared photograph and what was made of it.

    Attributes:
        face: by which it can be compared and searched for; null where the client has no session.
        source: name of the photograph's file.
        file: name for the generated face's.
        photo: what was uploaded.
        size: side of crop and generated face in pixels.
        crop: the aligned near-infrared face.
        generated: the synthetic visible-light face; its metadata say so.
        parts: boxes of eyes, nose and mouth on the crop.
        notes: what was assumed to read the photograph, and how it differs from the faces of the training.
    """

    face: str | None
    source: str
    file: str
    photo: Photo
    size: int
    crop: Crop
    generated: str
    parts: list[Box]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class BatchFace:
    """A generated face of a batch: its photograph's name, its own in the zip file, picture and notes."""

    source: str
    made: str
    image: str
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class FoundPerson:
    """Somebody compared, by the best of their photographs.

    Attributes:
        person: the name.
        source: the best photograph's.
        picture: path of its aligned face; null where only its features are kept.
        photographs: how many of this person were compared; null where that was not counted.
        original: score of the near-infrared face itself.
        generated: score of the face generated from it.
        fused: score of the mean of both features, by which the list goes.
        decision: "above" or "below" the threshold; null where there is none.
    """

    person: str
    source: str
    picture: str | None
    photographs: int | None
    original: float
    generated: float
    fused: float
    decision: str | None


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """The threshold for a false-accept rate, from the scores between a gallery's people.

    Attributes:
        far: share of pairs of different people that may reach the threshold.
        threshold: a score at this and above it is "above".
        low: of the 95 % confidence interval, over people.
        high: likewise.
        people: whose photographs were compared with each other.
        pairs: of photographs of different people.
    """

    far: float
    threshold: float
    low: float
    high: float
    people: int
    pairs: int


@dataclass(frozen=True, kw_only=True)
class Matches:
    """People most alike first. Somebody always is: the first is no identification.

    Attributes:
        matches: who was compared.
        compared: photographs that the face was compared with.
        operating_point: what decides; null where there is no threshold.
        no_threshold: why there is none.
    """

    matches: list[FoundPerson]
    compared: int
    operating_point: OperatingPoint | None
    no_threshold: str | None
