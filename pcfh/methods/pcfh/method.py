"""PCFH as a method that the training loop knows."""

from collections.abc import Mapping, Sequence

from torch import nn

from pcfh.methods.batch import Batch, Image, Values
from pcfh.methods.pcfh.generator import Generator
from pcfh.methods.pcfh.networks import PCFH
from pcfh.methods.pcfh.step import compute_gradients
from pcfh.methods.pcfh.terms import LossWeights


class PCFHMethod:
    """Trains G_A; see ``pcfh.methods.base``.

    Args:
        networks: all that learn.
        recognizer: F, frozen; None leaves L_ID out.
        weights: of the terms.
    """

    def __init__(self, networks: PCFH, recognizer: nn.Module | None, weights: LossWeights) -> None:
        self.networks = networks
        self._recognizer, self._weights = recognizer, weights

    @property
    def translator(self) -> Generator:
        """G_A."""
        return self.networks.G_A

    @property
    def critics(self) -> Sequence[nn.Module]:
        """D_A and N_E."""
        N_E = self.networks.N_E
        return (self.networks.D_A, *([] if N_E is None else [N_E]))

    @property
    def needs_warped(self) -> bool:
        """Whether the attention warping module is on."""
        return self.networks.Att is not None

    def backward(self, batch: Batch) -> Values:
        """Puts the gradient of every network into its parameters' ``grad``; see ``compute_gradients``."""
        values, _ = compute_gradients(self.networks, self._recognizer, batch, self._weights)
        return values

    def pictures(self, batch: Batch, output: Image) -> Mapping[str, Image]:
        """The warped VIS image and the attention map, from -1 for 0 to 1 for 1; none without AWM."""
        if self.networks.Att is None:
            return {}
        assert batch.warped is not None
        attention = self.networks.Att(batch.nir, batch.warped)
        return {"warped": batch.warped, "attention": (2 * attention - 1).expand_as(output)}
