"""Clustered features for galleries: each person's faces lie around a centre of their own."""

import numpy as np

from pcfh.gallery.entries import NewFace
from pcfh.gallery.store import digest32

KEY = "recogniser-1"


def clustered(people, faces, *, dimension=32, seed=0):
    """Unit features, ``faces`` of each person in a row."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.standard_normal((people, dimension)), faces, 0)
    features = (centres + 0.5 * rng.standard_normal(centres.shape)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def new_faces(features, each):
    """A face of each feature, ``each`` of a person in a row."""
    return [
        NewFace(
            id=digest32(f"photograph {i}"),
            person=f"person {i // each}",
            source=f"{i}.png",
            quality=0.5,
            feature=feature,
        )
        for i, feature in enumerate(features)
    ]
