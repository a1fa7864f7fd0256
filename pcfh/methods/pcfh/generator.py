"""The generators G_A (NIR to VIS, global and local paths) and G_B (VIS back to NIR) of paper Sec. 3.2.

Images are in [-1, 1] with three channels, NIR ones three times the same. The paper gives the parts,
their patch sizes and "in a max-out way"; the layers of the paths are ours: U-shaped with residual
blocks, as in TP-GAN.

Axis letters: b batch, s side of the image.
"""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pcfh.geometry.align import crop_of
from pcfh.geometry.parts import cut, max_out, part_corner, parts_of
from pcfh.levels import has_levels, put_levels_before
from pcfh.methods.familiar import known_range
from pcfh.methods.pcfh.blocks import UNet, conv_norm
from pcfh.methods.pcfh.detail import with_own_detail


def _to_image(width: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(width, width), nn.Conv2d(width, 3, 3, 1, 1), nn.Tanh())


class Generator(nn.Module):
    """G_A: one path sees the whole face, four unshared ones see eyes, nose and mouth; the maximum fuses them.

    Each part is cut at the face's own landmarks and its feature map is put back at the same place, so
    pose and expression stay (TP-GAN pastes at mean positions and loses them).

    Args:
        size: side of the images; fixes the patch sizes (paper Sec. 4.2).
        width: channels at full size, of the global path and of the fused features.
        blocks: residual blocks of the global path.
        local_blocks: residual blocks of each local path.
        ramp: pixels over which the maximum sets in from the borders of the parts, see ``max_out``.
        detail: share of the input's own detail in the result, see ``detail``; 0 as in the paper.
        zoom: by how much the images are larger than what the paths see, which is ``size / zoom``. What is
            finer comes from the input, so this wants ``detail``.

    Attributes:
        arguments: the above, to build the same network again.
    """

    def __init__(
        self,
        *,
        size: int,
        width: int,
        blocks: int,
        local_blocks: int,
        ramp: int = 0,
        detail: float = 0.0,
        zoom: int = 1,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "size": size,
            "width": width,
            "blocks": blocks,
            "local_blocks": local_blocks,
            "ramp": ramp,
            **({"detail": detail, "zoom": zoom} if detail else {}),
        }
        self.size, self.ramp, self.detail, self.zoom = size, ramp, detail, zoom
        self.parts = parts_of(size // zoom)
        self.whole = UNet(3, width=width, levels=3, blocks=blocks)
        self.local = nn.ModuleDict(
            {part.name: UNet(3, width=width, levels=2, blocks=local_blocks) for part in self.parts}
        )
        self.to_image = _to_image(width)

    def forward(
        self, nir: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"]
    ) -> Float[Tensor, "b 3 s s"]:
        """Generates VIS faces with the pose, expression and identity of NIR ones.

        Args:
            nir: aligned NIR faces.
            landmarks: (x, y) in pixels of ``nir``.
        """
        seen, points = nir, landmarks
        if self.zoom > 1:
            seen, points = F.avg_pool2d(nir, self.zoom), (landmarks + 0.5) / self.zoom - 0.5
        painted = self._painted(seen, points)
        return with_own_detail(painted, nir, self.detail) if self.detail else painted

    def as_trained(self) -> "Generator":
        """The same without detail, as large as what the paths see; shares the weights."""
        return with_detail(self, 0.0, 1) if self.detail or known_range(self) else self

    def _painted(
        self, nir: Float[Tensor, "b 3 s s"], landmarks: Float[Tensor, "b 68 2"]
    ) -> Float[Tensor, "b 3 s s"]:
        """What the paths make of it."""
        features: Tensor = self.whole(nir)
        for part in self.parts:
            corner = part_corner(landmarks, part, nir.shape[-1])
            patch = self.local[part.name](cut(nir, corner, part))
            features = max_out(features, patch, corner, part, ramp=self.ramp)
        image: Tensor = self.to_image(features)
        return image


def with_detail(generator: Generator, share: float, zoom: int) -> Generator:
    """The same paths, whose pictures keep some of the input's detail and are larger; levels stay with them.

    Args:
        generator: its weights are shared with the result.
        share: of the input's detail; 0 gives what is trained.
        zoom: by how much the pictures are larger than what the paths see.

    Raises:
        UserError: there are no crops of that size.
    """
    seen = generator.size // generator.zoom
    size = crop_of(seen * zoom).size
    result = Generator(**{**generator.arguments, "size": size, "detail": share, "zoom": zoom})
    result.load_state_dict(generator.state_dict(), assign=True)
    if has_levels(generator):
        put_levels_before(result)
    return result.train(generator.training)


class AuxiliaryGenerator(nn.Module):
    """G_B: VIS to NIR, needed in training only (Eq. 2); the global path of G_A alone."""

    def __init__(self, *, width: int, blocks: int) -> None:
        super().__init__()
        self.whole = UNet(3, width=width, levels=3, blocks=blocks)
        self.to_image = _to_image(width)

    def forward(self, vis: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Reconstructs the NIR images that VIS ones were generated from."""
        image: Tensor = self.to_image(self.whole(vis))
        return image
