"""What a step of any method sees and says.

Axis letters: b batch, s side of the image, d features, p people of the training.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

Image = Float[Tensor, "b 3 s s"]
Values = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step sees; images in [-1, 1], NIR ones with three equal channels.

    Attributes:
        nir: I_N.
        vis: I_V, another capture of the same person.
        landmarks: (x, y) in pixels of ``nir``.
        mix: uniform in [0, 1), where between two images the penalties look.
        warped: I_Warp, ``vis`` warped onto the landmarks of ``nir``, for methods that look at it.
        truth: the true VIS image of the moment of ``nir``, where it is known and wanted.
        vis_features: F(I_V), if there is a recogniser.
        person_features: mean of F over all VIS captures of the person, mirrored as ``vis`` is; likewise.
        person: whose faces these are, as a row of ``people``.
        people: mean of F over the VIS captures of each person, if there is a recogniser.
        familiar_nir: ``nir`` brought into the range of a generator's training, for adaptations.
        familiar: how far it is in that range, 1 inside; see ``pcfh.methods.familiar_input``.
    """

    nir: Float[Tensor, "b 3 s s"]
    vis: Float[Tensor, "b 3 s s"]
    landmarks: Float[Tensor, "b 68 2"]
    mix: Float[Tensor, " b"]
    warped: Float[Tensor, "b 3 s s"] | None = None
    truth: Float[Tensor, "b 3 s s"] | None = None
    vis_features: Float[Tensor, "b d"] | None = None
    person_features: Float[Tensor, "b d"] | None = None
    person: Int[Tensor, " b"] | None = None
    people: Float[Tensor, "p d"] | None = None
    familiar_nir: Float[Tensor, "b 3 s s"] | None = None
    familiar: Float[Tensor, " b"] | None = None
