"""How well known people are found in a gallery: Rank-1 and VR of all three scores, with their thresholds.

Unlike ``calibration``, which knows the gallery's own photographs only, this measures the probes that will
come.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pcfh.errors import UserError
from pcfh.evaluation.scores import Figures
from pcfh.evaluation.streaming import gallery_figures
from pcfh.gallery.entries import SCORES, Kind, Probe
from pcfh.gallery.photographs import FaceReader, Photograph, Refused
from pcfh.gallery.store import Gallery
from pcfh.images import read_image
from pcfh.names import require_name


@dataclass(frozen=True, kw_only=True)
class KnownProbe:
    """A face to search for, and whose it is."""

    person: str
    probe: Probe


def known_probes(
    reader: FaceReader,
    found: Iterable[Photograph | Refused],
    enrolled: Sequence[str],
    *,
    visible: bool = False,
    on_done: Callable[[int], None] = lambda count: None,
) -> tuple[list[KnownProbe], list[Refused]]:
    """Reads probes; those that cannot be read, or whose person is not enrolled, are listed.

    Args:
        reader: computes the features.
        found: near-infrared photographs and whose they are, see ``photographs``.
        enrolled: who is in the gallery.
        visible: whether the photographs are in visible light.
        on_done: called with the number of pictures that are through.
    """
    there, probes, refused = set(enrolled), list[KnownProbe](), list[Refused]()
    for one in found:
        try:
            if isinstance(one, Refused):
                raise UserError(one.reason)
            person = require_name(one.person)
            if person not in there:
                raise UserError(f"{person!r} is not enrolled")
            probe = reader.probe(read_image(one.path), visible=visible)
            probes.append(KnownProbe(person=person, probe=probe))
        except UserError as error:
            refused.append(Refused(path=one.path, reason=str(error).removeprefix(f"{one.path}: ")))
        on_done(1)
    return probes, refused


def figures_in(
    gallery: Gallery, probes: Sequence[KnownProbe], key: str, fars: Sequence[float]
) -> Mapping[Kind, Figures]:
    """Rank-1, VR and thresholds by each score; the gallery's features are held, the scores are not.

    Args:
        gallery: to search in.
        probes: of people who are enrolled.
        key: of the recogniser that made their features.
        fars: at which false-accept rates.

    Raises:
        UserError: there are no probes, they are of another recogniser, or there are too few pairs for a FAR.
    """
    gallery.require(key)
    if not probes:
        raise UserError("expected at least one probe of somebody enrolled, got none")
    people = np.array([one.person for one in probes])
    names, features = list[str](), list[np.ndarray]()
    for entry, feature in gallery.features():
        names.append(entry.person)
        features.append(feature)
    enrolled, stored = np.array(names), np.stack(features)
    kinds = SCORES if all(one.probe.generated is not None for one in probes) else ("original",)
    return {
        kind: gallery_figures(
            np.stack([one.probe.vector(kind) for one in probes]), stored, people, enrolled, fars=fars
        )
        for kind in kinds
    }
