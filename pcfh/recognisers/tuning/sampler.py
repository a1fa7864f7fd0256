"""Batches of people x captures of each modality, as every loss between modalities wants them.

Axis letters: b batch, n captures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from pcfh.preparation.training_pairs import shuffled_place


@dataclass(frozen=True, kw_only=True)
class IdentitySampler:
    """Which captures a step sees; a function of the seed and the step.

    Attributes:
        people: number of each capture's person.
        nir: which captures are near-infrared.
        seed: of the choice.
        people_of_batch: different people of a batch, all of them where there are fewer.
        captures: of each modality and person; one comes twice only where there are not enough.
    """

    people: Int[np.ndarray, " n"]
    nir: Bool[np.ndarray, " n"]
    seed: int
    people_of_batch: int = 8
    captures: int = 3

    def batch(self, step: int) -> Int[np.ndarray, " b"]:
        """Places of a step's captures: of each person the NIR ones, then the VIS ones."""
        both = np.intersect1d(self.people[self.nir], self.people[~self.nir])
        count = min(self.people_of_batch, len(both))
        rng = np.random.default_rng((self.seed, 4, step))
        chosen = self._people(both, step * count, count)
        return np.concatenate(
            [
                self._some(np.flatnonzero((self.people == person) & (self.nir == nir)), rng)
                for person in chosen
                for nir in (True, False)
            ]
        )

    def _people(self, both: Int[np.ndarray, " p"], start: int, count: int) -> Sequence[int]:
        """Different people, all in turn: where one round ends within a batch, nobody comes twice."""
        found: dict[int, None] = {}
        place = start
        while len(found) < count:
            found.setdefault(int(both[shuffled_place(self.seed, place, len(both))]))
            place += 1
        return [*found]

    def _some(self, places: Int[np.ndarray, " k"], rng: np.random.Generator) -> Int[np.ndarray, " c"]:
        if len(places) >= self.captures:
            return rng.permutation(places)[: self.captures]
        return np.concatenate([places, rng.choice(places, self.captures - len(places))])
