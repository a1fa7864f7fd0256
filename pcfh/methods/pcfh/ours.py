"""What is not in the paper: two terms, and three changes of what its terms see; off in the paper's presets.

Images are in [-1, 1]. Axis letters: b batch, c channels, s side of the image, d features, p people.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from pcfh.geometry.scheme import LEFT_EYE, RIGHT_EYE
from pcfh.methods.batch import Batch, Image
from pcfh.methods.blur import gaussian_blur
from pcfh.methods.pcfh.terms import ABSENT, LossWeights, Term, term_of

PEOPLE_SCALE = 30.0
MOST_SHIFT, MOST_BLUR = 3, 1.5  # pixels of 128: to each side, and the blur's standard deviation
_REACH = 4  # pixels to each side that the blur looks at


def truth(x: Image, batch: Batch, weights: LossWeights) -> Term:
    """The distance to the true image, for G_A."""
    if not weights.lambda_truth:
        return ABSENT
    assert batch.truth is not None
    more = weights.eye_weight
    weight = 1 + more * near_eyes(batch.landmarks, x.shape[-1]) if more else 1.0
    return term_of("truth", weights.lambda_truth * truth_loss(x, batch.truth, weight), x)


def people(features: Float[Tensor, "b d"] | None, x: Image, batch: Batch, weights: LossWeights) -> Term:
    """The identity term against all people, for G_A; ``features`` are F's of ``x``."""
    if features is None or not weights.lambda_people:
        return ABSENT
    assert batch.people is not None and batch.person is not None
    loss = people_loss(features, batch.people, batch.person, weights.people_margin)
    return term_of("people", weights.lambda_people * loss, x)


def people_loss(
    features_G: Float[Tensor, "b d"],
    people: Float[Tensor, "p d"],
    person: Int[Tensor, " b"],
    margin: float = 0.0,
) -> Float[Tensor, ""]:
    """An identity term that knows who else there is: mean over the batch.

        -log softmax_p(s (cos(F(G_A(I_N)), F_p) - m [p is the own person])) at the own person, s = 30

    F_p is the mean of F over the VIS captures of person p of the training. Eq. 3 asks every feature to be
    the same; recognition compares cosines, and asks only that nobody else's is larger, with a margin m > 0
    that it is larger than all others' by m.

    Args:
        features_G: F(G_A(I_N)).
        people: F_p.
        person: the own person's row of ``people``.
        margin: m.

    Reference: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", ACM MM 2017; the
    margin: Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018.
    """
    cosines = F.normalize(features_G) @ F.normalize(people).T
    own = F.one_hot(person, len(people))
    return F.cross_entropy(PEOPLE_SCALE * (cosines - margin * own), person)


def truth_loss(
    generated: Float[Tensor, "b c h w"],
    truth: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "b 1 h w"] | float = 1.0,
) -> Float[Tensor, ""]:
    """Distance to the true VIS image of the moment: MEAN over channels, pixels and batch.

    |w (G_A(I_N) - T)|_1

    No camera takes both at once; a renderer does.

    Args:
        generated: G_A(I_N).
        truth: T.
        weight: w, how much each pixel counts.
    """
    return (weight * (generated - truth).abs()).mean()


def near_eyes(landmarks: Float[Tensor, "b 68 2"], side: int) -> Float[Tensor, "b 1 s s"]:
    """1 in the middle of each eye, falling as a Gaussian with a third of its width as standard deviation.

    Irises are few pixels, so a mean over all hardly knows their colour.

    Args:
        landmarks: (x, y) in pixels.
        side: s, of the images.
    """
    eyes = torch.stack([landmarks[:, eye] for eye in (LEFT_EYE, RIGHT_EYE)], 1).float()  # b 2 6 2
    middle = eyes.mean(2)
    width = (eyes[:, :, 3] - eyes[:, :, 0]).norm(dim=-1).clamp(min=1)  # seen from the side, corners may meet
    place = torch.arange(side, device=landmarks.device)
    across, down = ((place - middle[..., i, None]).square() for i in (0, 1))
    squared = down[..., :, None] + across[..., None, :]
    return (-4.5 * squared / width.square()[..., None, None]).exp().amax(1, keepdim=True)


def noisy(images: Image, strength: float) -> Image:
    """What G_B sees: noise drowns the faint marks in which G_A could hide the NIR image.

    Args:
        images: generated.
        strength: standard deviation of the noise; 0 draws none.
    """
    return images + strength * torch.randn_like(images) if strength else images


def lighter_and_darker(first: Image, second: Image) -> tuple[Image, Image]:
    """What Eq. 7 may mask, and what it may compare with, in the place of the generated and the warped image.

    A mask can only darken. Over the lighter of both it dims wherever they differ; over the generated one it
    dims where the light of the VIS capture is weaker, and no other distortion.
    """
    return torch.maximum(first, second), torch.minimum(first, second)


def augment_faces(faces: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 1 s s"]:
    """What F sees: the faces of a batch shifted and blurred alike, by amounts drawn on their device.

    A loss through a deep network can be lowered by faint patterns that no camera would record. They do not
    survive a shift and a blur that differ from step to step; the features of the face do.
    """
    shift = torch.randint(-MOST_SHIFT, MOST_SHIFT + 1, (2,), device=faces.device)
    return blurred(shifted(faces, shift), MOST_BLUR * torch.rand((), device=faces.device).double())


def shifted(faces: Float[Tensor, "b 1 s s"], shift: Int[Tensor, "2"]) -> Float[Tensor, "b 1 s s"]:
    """Moves faces to the right and down, by at most ``MOST_SHIFT`` pixels; the border is repeated.

    Args:
        faces: to move.
        shift: pixels to the right and down.
    """
    side = faces.shape[-1]
    padded = F.pad(faces, [MOST_SHIFT] * 4, mode="replicate")
    place = torch.arange(MOST_SHIFT, MOST_SHIFT + side, device=faces.device)
    x, y = place - shift[0], place - shift[1]
    window = (y[:, None] * padded.shape[-1] + x).flatten().expand(len(faces), 1, -1)
    return padded.flatten(2).gather(2, window).view_as(faces)


def blurred(faces: Float[Tensor, "b 1 s s"], sigma: Float[Tensor, ""]) -> Float[Tensor, "b 1 s s"]:
    """Smooths faces with a Gaussian of some standard deviation in pixels; the border is repeated."""
    return gaussian_blur(faces, sigma.clamp(min=1e-3), _REACH)
