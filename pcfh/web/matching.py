"""Whom a face is like: in a visitor's own gallery and in the server's, at an operating point.

Axis letters: n faces, d features.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from pcfh.errors import UserError
from pcfh.gallery.calibration import Threshold, threshold_of
from pcfh.gallery.entries import Calibration, Kind, Probe
from pcfh.gallery.store import Gallery
from pcfh.web.answers import FoundPerson, Matches, OperatingPoint, ServedGallery
from pcfh.web.engine import Enrolled

_BY: Kind = "fused"


def matches_among(probe: Probe, gallery: Mapping[str, Enrolled], far: float) -> Matches:
    """Compares a face with enrolled ones.

    Args:
        probe: the face.
        gallery: photographs by their ids.
        far: false-accept rate of the threshold.
    """
    if not gallery:
        return Matches(matches=[], compared=0, operating_point=None, no_threshold="nobody is enrolled")
    features = np.stack([face.feature for face in gallery.values()])
    people = np.array([face.name for face in gallery.values()])
    point, reason = None, None
    try:
        point = _point(threshold_of(features, people, far), far, len(set(people)))
    except UserError as error:
        reason = str(error)
    scores = probe.against(features)
    counts, found = Counter(people.tolist()), dict[str, FoundPerson]()
    for place in np.argsort(-scores[_BY], kind="stable"):
        key, face = list(gallery.items())[place]
        found.setdefault(
            face.name,
            FoundPerson(
                person=face.name,
                source=face.source,
                picture=picture_of(key),
                photographs=counts[face.name],
                decision=_decision(float(scores[_BY][place]), point),
                **{kind: float(values[place]) for kind, values in scores.items()},
            ),
        )
    return Matches(
        matches=list(found.values()), compared=len(gallery), operating_point=point, no_threshold=reason
    )


def matches_in(probe: Probe, gallery: Gallery, key: str, *, far: float, top: int) -> Matches:
    """Searches the server's gallery for a face.

    Args:
        probe: the face.
        gallery: a store.
        key: of the recogniser.
        far: false-accept rate of the threshold, which has been calibrated before.
        top: people to list.

    Raises:
        UserError: the store refuses, or holds features of another recogniser.
    """
    known = gallery.calibrations()
    point = _point(known[far], far, known[far].people) if far in known else None
    others = ", ".join(f"{rate:g}" for rate in sorted(known)) or "none"
    found = [
        FoundPerson(
            person=match.entry.person,
            source=match.entry.source,
            picture=None,
            photographs=None,
            decision=_decision(match.score, point),
            original=match.scores["original"],
            generated=match.scores["generated"],
            fused=match.scores["fused"],
        )
        for match in gallery.search(probe, key, top=top, by=_BY)
    ]
    return Matches(
        matches=found,
        compared=len(gallery),
        operating_point=point,
        no_threshold=None
        if point
        else f"the gallery is calibrated for: {others}; see pcfh gallery calibrate",
    )


def about(gallery: Gallery, name: str) -> ServedGallery:
    """What visitors are told of the server's gallery."""
    return ServedGallery(name=name, faces=len(gallery), rates=sorted(gallery.calibrations()))


def picture_of(key: str) -> str:
    """The path of an enrolled photograph's aligned face."""
    return f"/api/gallery/{key}"


def _point(found: Threshold | Calibration, far: float, people: int) -> OperatingPoint:
    return OperatingPoint(
        far=far,
        threshold=found.threshold,
        low=found.low,
        high=found.high,
        people=people,
        pairs=found.pairs,
    )


def _decision(score: float, point: OperatingPoint | None) -> str | None:
    if point is None:
        return None
    return "above" if score >= point.threshold else "below"
