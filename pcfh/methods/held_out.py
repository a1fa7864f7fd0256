"""The people held out of a generator's training, and how well their generated faces are recognised.

The recogniser is the one that the run was given. Where it also teaches the generator, a rise of these figures
says less than one by another recogniser (``pcfh evaluate``).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.databases.records import Record, subjects
from pcfh.errors import UserError
from pcfh.preparation.training_pairs import TrainingPairs, landmarks_of
from pcfh.ranges import from_bytes
from pcfh.recognisers.identification import identification
from pcfh.recognisers.lightcnn.network import to_lightcnn_input

_BATCH = 32
_LEAST = 2  # people to tell apart, and as many to learn from


def split_people(records: Sequence[Record], share: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Holds a share of the people out, at least two; nobody where the share is 0.

    Only people with NIR and VIS captures count; who they are is drawn by the seed.

    Returns:
        Records to learn from, and of the people held out.

    Raises:
        UserError: there are too few people.
    """
    if not share:
        return list(records), []
    nir, vis = ({r.subject for r in records if r.modality == m} for m in ("NIR", "VIS"))
    people = [person for person in subjects(records) if person in nir & vis]
    count = max(_LEAST, round(share * len(people)))
    if len(people) - count < _LEAST:
        raise UserError(
            f"training.validation={share}: {len(people)} people with NIR and VIS captures are too few to "
            f"hold {count} out; set it to 0, or take a larger database"
        )
    kept = set(np.random.default_rng((seed, 2)).permutation(people)[:count].tolist())
    return [r for r in records if r.subject not in kept], [r for r in records if r.subject in kept]


class HeldOut:
    """Captures of the people held out.

    Args:
        pairs: their captures.
        recognizer: F.
        device: where it computes.
    """

    def __init__(self, pairs: TrainingPairs, recognizer: nn.Module, device: torch.device) -> None:
        self._pairs, self._F, self._device = pairs, recognizer, device

    @torch.no_grad()
    def figures(self, generator: nn.Module) -> dict[str, float]:
        """Rank-1 and mean cosine of the generated faces to the VIS captures of the same people."""
        pairs = self._pairs
        landmarks = landmarks_of(pairs.nir_records)
        generated = [
            self._embeddings(generator(self._floats(nir).expand(-1, 3, -1, -1), points.to(self._device)))
            for nir, points in zip(pairs.nir.split(_BATCH), landmarks.split(_BATCH), strict=True)
        ]
        gallery = [self._embeddings(self._floats(vis)) for vis in pairs.vis.split(_BATCH)]
        people = (np.array([r.subject for r in part]) for part in (pairs.nir_records, pairs.vis_records))
        figures = identification(np.concatenate(generated), np.concatenate(gallery), *people)
        return {f"validation/{name}": value for name, value in figures.items()}

    def _floats(self, images: Tensor) -> Tensor:
        return from_bytes(images.to(self._device))

    def _embeddings(self, images: Float[Tensor, "b 3 s s"]) -> Float[np.ndarray, "b d"]:
        features = self._F(to_lightcnn_input(images)).float()
        return nn.functional.normalize(features).cpu().numpy()
