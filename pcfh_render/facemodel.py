"""The ICT-FaceKit face model: a mean head, 100 components of identity, 53 expressions.

The user clones https://github.com/ICT-VGL/ICT-FaceKit (MIT licence) and gives its folder ``FaceXModel``.
Lengths are centimetres; +x is the person's left, +y up, +z out of the face. Texture coordinates are
UDIM tiles: the whole part of u is the tile, v runs upwards.

Axis letters: v vertices, t triangles, i components of identity, e expressions.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from pcfh.errors import UserError
from pcfh.files import atomic_path

SOURCE = "https://github.com/ICT-VGL/ICT-FaceKit"
COMPONENTS = 100
# The parts of the mesh in the order of their vertices, each with its last vertex.
PARTS: Mapping[str, int] = {
    "face": 9408,
    "head": 11247,
    "mouth_socket": 13293,
    "left_eye_socket": 13677,
    "right_eye_socket": 14061,
    "gums_tongue": 17038,
    "teeth": 21450,
    "left_sclera": 22220,
    "left_iris": 23020,
    "right_sclera": 23790,
    "right_iris": 24590,
    "left_lacrimal": 24794,
    "right_lacrimal": 24998,
    "left_eye_blend": 25022,
    "right_eye_blend": 25046,
    "left_occlusion": 25198,
    "right_occlusion": 25350,
    "left_lashes": 26034,
    "right_lashes": 26718,
}
# The 68 points of Multi-PIE / iBUG as vertices, from the right of the person (the left of the image).
# fmt: off
LANDMARKS = np.array([
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509,
    978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360,
    1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
    5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
], dtype=np.int32)
# fmt: on
_VERTICES = 26719
_ADVICE = f"clone {SOURCE} and give its folder FaceXModel"


@dataclass(frozen=True, kw_only=True)
class FaceModel:
    """The model as arrays.

    Attributes:
        mean: vertices of the mean head, neutral.
        identity: what each component adds to them at one standard deviation.
        expressions: what each named shape adds at full strength.
        triangles: vertices of each triangle.
        uv: texture coordinates of each triangle's corners.
        part: of each triangle, an index into ``PARTS``.
        fingerprint: SHA-256 over all of it; equal models render equal faces.
    """

    mean: Float[np.ndarray, "v 3"]
    identity: Float[np.ndarray, "i v 3"]
    expressions: Mapping[str, Float[np.ndarray, "v 3"]]
    triangles: Int[np.ndarray, "t 3"]
    uv: Float[np.ndarray, "t 3 2"]
    part: UInt8[np.ndarray, " t"]
    fingerprint: str

    def shape(self, weights: Float[np.ndarray, " i"]) -> Float[np.ndarray, "v 3"]:
        """The neutral head of one person.

        Args:
            weights: of the components, in standard deviations.
        """
        return self.mean + np.tensordot(weights.astype(np.float32), self.identity, 1)

    def expressed(
        self, shape: Float[np.ndarray, "v 3"], weights: Mapping[str, float]
    ) -> Float[np.ndarray, "v 3"]:
        """Adds expressions to a head.

        Args:
            shape: a neutral head.
            weights: of the named shapes, 0 none, 1 full.

        Raises:
            UserError: the model has no shape of that name.
        """
        unknown = set(weights).difference(self.expressions)
        if unknown:
            raise UserError(f"the face model has no expression {sorted(unknown)[0]!r}")
        moved = shape.copy()
        for name, weight in weights.items():
            moved += np.float32(weight) * self.expressions[name]
        return moved

    def triangles_of(self, *parts: str) -> Int[np.ndarray, " n"]:
        """The numbers of the triangles of some parts of the mesh."""
        names = tuple(PARTS)
        return np.flatnonzero(np.isin(self.part, [names.index(part) for part in parts]))


def load_face_model(folder: Path, cache: Path | None = None) -> FaceModel:
    """Reads the model, from the cache if it was read before.

    Args:
        folder: ``FaceXModel`` of a clone of ICT-FaceKit, or the clone itself.
        cache: folder for a packed copy, which reads in a second rather than in half a minute.

    Raises:
        UserError: the folder is absent, lacks files, or a file is damaged.
    """
    folder = folder / "FaceXModel" if (folder / "FaceXModel").is_dir() else folder
    expressions = _expression_names(folder)
    paths = [folder / f"identity{number:03d}.obj" for number in range(COMPONENTS)]
    paths += [folder / f"{name}.obj" for name in expressions]
    neutral = folder / "generic_neutral_mesh.obj"
    lacking = [path.name for path in (neutral, *paths) if not path.is_file()]
    if lacking:
        raise UserError(f"{folder}: lacks {lacking[0]} ({len(lacking)} files in all); {_ADVICE}")
    packed = None if cache is None else cache / f"ict-facekit-{_stamp((neutral, *paths))}.npz"
    if packed is not None and packed.is_file():
        arrays = _unpacked(packed)
        if arrays is not None:
            return _model(arrays, expressions)
    arrays = _read_all(neutral, paths)
    if packed is not None:
        with atomic_path(packed) as place, place.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    return _model(arrays, expressions)


def _model(arrays: Mapping[str, np.ndarray], names: tuple[str, ...]) -> FaceModel:
    """The model of the arrays that were read or unpacked."""
    digest = hashlib.sha256()
    for key in ("mean", "shapes", "triangles", "uv"):
        digest.update(arrays[key].tobytes())
    shapes, triangles = arrays["shapes"], arrays["triangles"]
    part = np.searchsorted(np.array(list(PARTS.values())), triangles[:, 0]).astype(np.uint8)
    return FaceModel(
        mean=arrays["mean"],
        identity=shapes[:COMPONENTS],
        expressions=dict(zip(names, shapes[COMPONENTS:], strict=True)),
        triangles=triangles,
        uv=arrays["uv"],
        part=part,
        fingerprint=digest.hexdigest(),
    )


def _read_all(neutral: Path, paths: list[Path]) -> dict[str, np.ndarray]:
    """Reads the mean head with its triangles, and every shape as its difference to it."""
    mean = _vertices(neutral)
    triangles, uv = _triangles(neutral)
    shapes = np.stack([_vertices(path) - mean for path in paths])
    return {
        "mean": mean.astype(np.float32),
        "shapes": shapes.astype(np.float32),
        "triangles": triangles,
        "uv": uv,
    }


def _expression_names(folder: Path) -> tuple[str, ...]:
    """The named expressions, from the model's index."""
    path = folder / "vertex_indices.json"
    if not folder.is_dir() or not path.is_file():
        raise UserError(f"{folder}: expected the face model of ICT-FaceKit, found no {path.name}; {_ADVICE}")
    try:
        return tuple(str(name) for name in json.loads(path.read_text(encoding="utf-8"))["expressions"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); {_ADVICE}") from error


def _vertices(path: Path) -> Float[np.ndarray, "v 3"]:
    """The vertices of an OBJ file, in double precision."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        rows = " ".join(line[2:] for line in lines if line.startswith("v "))
        found = np.array(rows.split(), dtype=np.float64).reshape(-1, 3)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error}); {_ADVICE}") from error
    if len(found) != _VERTICES:
        raise UserError(f"{path}: expected {_VERTICES} vertices, found {len(found)}; {_ADVICE}")
    return found


def _triangles(path: Path) -> tuple[Int[np.ndarray, "t 3"], Float[np.ndarray, "t 3 2"]]:
    """The faces of an OBJ file cut into triangles, and the texture coordinates of their corners."""
    lines = path.read_text(encoding="ascii").splitlines()
    try:
        texture = np.array([line.split()[1:3] for line in lines if line.startswith("vt ")], dtype=np.float32)
        faces = [line.split()[1:] for line in lines if line.startswith("f ")]
        cut = [(face[0], face[k], face[k + 1]) for face in faces for k in range(1, len(face) - 1)]
        corners = np.array([[corner.split("/")[:2] for corner in triangle] for triangle in cut], np.int32) - 1
        return np.ascontiguousarray(corners[..., 0]), texture[corners[..., 1]]
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: damaged ({error}); {_ADVICE}") from error


def _stamp(paths: tuple[Path, ...]) -> str:
    """Tells one state of the files from another without reading them."""
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return hashlib.sha256(repr(states).encode()).hexdigest()[:16]


def _unpacked(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a packed copy, or None where it is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in ("mean", "shapes", "triangles", "uv")}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
