"""Near-infrared crops as cameras of all kinds would have taken them, for training; on the device, in a batch.

The kinds and their ranges are those of ``pcfh.nir_cameras``, which the renderer follows too; what lies in the
scene itself (glare, pupils, brows, surroundings) only a renderer can change. Random numbers come from
PyTorch's generators, so they belong to the step. Axis letters: b batch, s side.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pcfh.methods.blur import gaussian_blur
from pcfh.nir_cameras import KINDS, MARGIN_SHARES, MARGIN_WIDTH, Margin

Grey = Float[Tensor, "b 1 s s"]
Strengths = Mapping[str, Float[Tensor, "b 1 1 1"]]
_LIGHT_NOISE = 4.0  # as the renderer's sensor has it
# Steps of the luminance in JPEG files of quality 50 (ITU T.81, Annex K).
_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


def as_cameras_take(nir: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
    """Each image as some camera would have taken it.

    Args:
        nir: in [-1, 1], three equal channels; so is the result.
    """
    count, side = len(nir), nir.shape[-1]
    drawn = draw_strengths(count, nir.device)
    taken = with_margins(taken_by((nir[:, :1] + 1) / 2, drawn), torch.rand(count, 7, device=nir.device), side)
    return (2 * taken - 1).expand(-1, 3, -1, -1)


def draw_strengths(count: int, device: torch.device) -> dict[str, Float[Tensor, "b 1 1 1"]]:
    """Strengths of all kinds; exposures are rarer towards both ends."""
    place, present = torch.rand(2, len(KINDS), count, 1, 1, 1, device=device)
    drawn = {
        name: kind.at(place[i], present[i], where=torch.where, exp=torch.exp)
        for i, (name, kind) in enumerate(KINDS.items())
    }
    stops = KINDS["stops"]
    middle = (place[list(KINDS).index("stops")] + torch.rand(count, 1, 1, 1, device=device)) / 2
    return {**drawn, "stops": stops.low + (stops.high - stops.low) * middle}


def taken_by(coded: Grey, camera: Strengths) -> Grey:
    """What cameras make of pictures, which are taken for pictures of plain cameras.

    Args:
        coded: with the sRGB curve, in [0, 1]; so is the result.
        camera: see ``pcfh.nir_cameras.Capture``.
    """
    side = coded.shape[-1]
    light = torch.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055).clamp_min(0) ** 2.4)
    light = light * _field(side, camera) * _dots(side, camera) * 2 ** camera["stops"]
    light = _bloomed(_blurred(light, camera), camera)
    noise = camera["noise"] * (1 + _LIGHT_NOISE**2 * light.clamp(0, 1)).sqrt()
    light = light + noise * torch.randn_like(light)
    light = light + camera["rows"] * torch.randn_like(light[..., :1])
    light = (light * camera["levels"]).round() / camera["levels"]
    return _compressed(_processed(_coded(light, camera), camera), camera)


def _grid(side: int, device: torch.device) -> tuple[Float[Tensor, "1 1 1 s"], Float[Tensor, "1 1 s 1"]]:
    """Columns and rows from -1 to 1."""
    line = torch.linspace(-1, 1, side, device=device)
    return line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)


def _field(side: int, camera: Strengths) -> Grey:
    """Darker corners, and one side brighter than the other."""
    x, y = _grid(side, camera["slope"].device)
    across = x * camera["slope_angle"].cos() + y * camera["slope_angle"].sin()
    return (1 - camera["vignette"] * (x * x + y * y) / 2) * torch.exp(camera["slope"] * across)


def _dots(side: int, camera: Strengths) -> Grey:
    """A projector's dots; a grid of them, moved by chance."""
    x, y = _grid(side, camera["dots"].device)
    turns = 2 * math.pi / camera["dot_pitch"] / 2
    phase = 2 * math.pi * torch.rand(2, len(turns), 1, 1, 1, device=turns.device)
    spots = ((1 + (turns * x + phase[0]).cos()) * (1 + (turns * y + phase[1]).cos()) / 4) ** 4
    return 1 - camera["dots"] + 2 * camera["dots"] * spots


def _blurred(light: Grey, camera: Strengths) -> Grey:
    """Defocus and motion in one kernel for each picture."""
    side = light.shape[-1]
    spread = (camera["defocus"] * side / 2).clamp_min(0.25)
    way = camera["motion"] * side / 2
    reach = math.ceil(max(KINDS["defocus"].high * side * 1.5 / 2, KINDS["motion"].high * side / 2)) + 1
    line = torch.arange(-reach, reach + 1, device=light.device, dtype=light.dtype)
    x, y = line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)
    kernel = torch.zeros((), device=light.device)
    for share in torch.linspace(-1, 1, 9).tolist():
        right, down = (
            way * share * turn for turn in (camera["motion_angle"].cos(), camera["motion_angle"].sin())
        )
        kernel = kernel + torch.exp(-((x - right) ** 2 + (y - down) ** 2) / (2 * spread**2))
    kernel = kernel / kernel.sum((2, 3), keepdim=True)  # b 1 k k
    padded = F.pad(light, [reach] * 4, mode="replicate")
    return F.conv2d(padded.transpose(0, 1), kernel, groups=len(light)).transpose(0, 1)


def _bloomed(light: Grey, camera: Strengths) -> Grey:
    """Overflowing light that spreads around."""
    over = (light - 0.85).clamp(0, 6)
    for _ in range(2):
        reach = max(1, light.shape[-1] // 20)
        over = F.avg_pool2d(F.pad(over, [reach] * 4, mode="replicate"), 2 * reach + 1, 1)
    return light + 3 * camera["bloom"] * over


def _coded(light: Grey, camera: Strengths) -> Grey:
    """The shoulder towards white, the sRGB curve, another curve on top, and the level of black."""
    width = camera["shoulder"].clamp_min(1e-6)
    knee = 1 - camera["shoulder"]
    light = light.clamp_min(0)
    light = torch.where(light > knee, 1 - width * torch.exp(-(light - knee).clamp_min(0) / width), light)
    light = light.clamp(0, 1)
    curve = torch.where(light < 0.0031308, 12.92 * light, 1.055 * light.clamp_min(1e-6) ** (1 / 2.4) - 0.055)
    curve = curve.clamp(0, 1) ** camera["gamma"]
    return (camera["black"] + (1 - camera["black"]) * curve).clamp(0, 1)


def _processed(coded: Grey, camera: Strengths) -> Grey:
    """A smaller picture on the way, of one size in a batch; shifted rows, smoothing and sharpening."""
    side = coded.shape[-1]
    kind = KINDS["shrink"]
    scale = kind.low * (kind.high / kind.low) ** float(torch.rand(()))  # of the host: it decides on shapes
    small = F.interpolate(coded, size=max(16, round(side / scale)), mode="area")
    large = F.interpolate(small, size=side, mode="bicubic", align_corners=False)
    coded = torch.where(camera["shrink"] > 1, large, coded)
    place = torch.arange(side, device=coded.device)
    moved = (place - (camera["interlace"] * side).round().long()) % side
    odd = coded.gather(3, moved.expand(-1, -1, side, -1))
    coded = torch.where((place % 2 == 1).view(1, 1, -1, 1), odd, coded)
    around = F.pad(coded, [1] * 4, mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)
    coded = coded + camera["denoise"] * (around.median(-1).values - coded)
    spread = 0.005 * side
    smooth = gaussian_blur(coded, spread, math.ceil(3 * spread))
    return (coded + camera["sharpen"] * (coded - smooth)).clamp(0, 1)


def _compressed(coded: Grey, camera: Strengths) -> Grey:
    """The loss of JPEG: blocks of 8 x 8 in steps of their cosine transform."""
    count, _, side, _ = coded.shape
    index = torch.arange(8, device=coded.device, dtype=coded.dtype)
    cosines = torch.cos(math.pi * (2 * index[None] + 1) * index[:, None] / 16) / 2
    cosines[0] /= math.sqrt(2)
    quality = camera["quality"].clamp(1, 99).view(-1, 1, 1)
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = (torch.tensor(_STEPS, device=coded.device) * factor).round().clamp_min(1)  # b 8 8
    more = -side % 8
    padded = F.pad(255 * coded - 128, [0, more, 0, more], mode="replicate")
    blocks = padded.view(count, (side + more) // 8, 8, (side + more) // 8, 8)
    there = torch.einsum("ui,bricj,vj->brucv", cosines, blocks, cosines)
    kept = (there / steps[:, None, :, None]).round() * steps[:, None, :, None]
    back = torch.einsum("ui,brucv,vj->bricj", cosines, kept, cosines).reshape(padded.shape)
    lossy = ((back[..., :side, :side] + 128) / 255).clamp(0, 1)
    return torch.where(camera["quality"] < 95, lossy, coded)


def with_margins(coded: Grey, draws: Float[Tensor, "b 7"], side: int) -> Grey:
    """Borders, boxes and edges that are drawn out, as often as ``MARGIN_SHARES`` says.

    Args:
        coded: in [0, 1].
        draws: even ones from [0, 1): the kind, the width, the four sides, the grey of a box.
        side: of the pictures.
    """
    kind, width, *sides, value = (draws[:, i].view(-1, 1, 1, 1) for i in range(7))
    width = (MARGIN_WIDTH[0] + (MARGIN_WIDTH[1] - MARGIN_WIDTH[0]) * width) * side
    edges = dict(
        zip(MARGIN_SHARES, torch.tensor(list(MARGIN_SHARES.values())).cumsum(0).tolist(), strict=True)
    )
    place = torch.arange(side, device=coded.device)
    x, y = place.view(1, 1, 1, -1), place.view(1, 1, -1, 1)
    distances = (x, y, side - 1 - x, side - 1 - y)
    border = torch.zeros_like(coded, dtype=torch.bool)
    for chosen, distance in zip(sides, distances, strict=True):
        border = border | ((chosen < 0.6) & (distance < width))
    nearest = torch.minimum(torch.minimum(x, side - 1 - x), torch.minimum(y, side - 1 - y))
    box = (nearest >= width / 2) & (nearest < width / 2 + 1 + side / 128)
    columns = torch.maximum(x, width.long()).expand(-1, -1, side, -1)
    changes: tuple[tuple[Margin, Tensor], ...] = (
        ("white", torch.where(border, 1.0, coded)),
        ("black", torch.where(border, 0.0, coded)),
        ("box", torch.where(box, (value > 0.25).to(coded.dtype), coded)),
        ("streak", coded.gather(3, columns.expand(len(coded), -1, -1, -1))),
    )
    for name, changed in changes:
        share = MARGIN_SHARES[name]
        coded = torch.where((kind >= edges[name] - share) & (kind < edges[name]), changed, coded)
    return coded
