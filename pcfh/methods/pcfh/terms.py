"""Terms of G_A's objective: what they weigh, and how they add up.

Axis letters: b batch, s side of the image.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pcfh.methods.batch import Image, Values
from pcfh.methods.pcfh import Objective


@dataclass(frozen=True, kw_only=True)
class LossWeights(Objective):
    """The settings of the objective, with sums over pixels weighed for the size of the images.

    ``lambda_ad`` is 1 in the paper. D_A is held to a slope of 1; times lambda_ad it has the voice of one
    that is held to lambda_ad.

    Attributes:
        group: consecutive images among which Eq. 10 re-pairs.
        bf16: mixed precision.
    """

    group: int
    bf16: bool = False

    @property
    def alpha(self) -> tuple[float, float, float]:
        """The three weights of Eq. 7."""
        return self.alpha_fit, self.alpha_rank, self.alpha_sparse


@dataclass(frozen=True)
class Term:
    """A term with its weight: its loss, its gradient on G_A's output, and what of it is logged.

    Terms add up as their losses do.
    """

    loss: Float[Tensor, ""] | float
    on_x: Float[Tensor, "b 3 s s"] | float
    values: Values

    def __add__(self, other: "Term") -> "Term":
        """The sum of two terms."""
        return Term(self.loss + other.loss, self.on_x + other.on_x, self.values | other.values)


ABSENT = Term(0.0, 0.0, {})  # what is switched off


def term(name: str, loss: Float[Tensor, ""], on_x: Image, values: Values | None = None) -> Term:
    """A term that is logged by its name.

    Args:
        name: in the logs.
        loss: with its weight.
        on_x: the gradient of ``loss`` on G_A's output.
        values: what else shall be logged.
    """
    own = {f"loss/{name}": loss.detach(), f"gradient/{name}": norm_per_image(on_x)}
    return Term(loss.detach(), on_x, own | {key: value.detach() for key, value in (values or {}).items()})


def term_of(name: str, loss: Float[Tensor, ""], x: Image, *, again: bool = False) -> Term:
    """A term whose gradient reaches G_A's output alone.

    Args:
        name: in the logs.
        loss: with its weight, a function of ``x``.
        x: G_A's output.
        again: whether the way from ``x`` to ``loss`` will be needed once more.
    """
    (on_x,) = torch.autograd.grad(loss, x, retain_graph=again)
    return term(name, loss, on_x)


def norm_per_image(gradient: Image) -> Float[Tensor, ""]:
    """Mean norm of the gradient of one image's own loss; the losses are means over the batch."""
    return gradient.flatten(1).norm(dim=1).mean() * len(gradient)
