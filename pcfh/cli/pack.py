"""The command that packs crops for another machine."""

from functools import partial
from pathlib import Path
from typing import Literal

from pcfh.cli.app import progress_bar, show_stage
from pcfh.preparation.pack import PackOptions
from pcfh.preparation.pack import pack as run_pack


def pack(
    prepared: Path,
    file: Path,
    *,
    protocol: str = "1",
    size: int | None = None,
    coding: Literal["webp", "jpeg"] = "webp",
    quality: int = 92,
    probes: int = 0,
) -> int:
    """Pack the crops of one training into a file, for a machine without pictures and detector.

    There, pcfh unpack makes a folder of it that pcfh train takes. The crops are coded with some loss, which
    is printed and kept in the file.

    Args:
        prepared: folder made by pcfh prepare.
        file: to write.
        protocol: whose training people to pack.
        size: side of the crops in pixels, where the folder has several.
        coding: webp, or jpeg with colours at full resolution.
        quality: of the coding, 1 to 100; 92 is near 42 dB.
        probes: also pack the gallery and this many probes, evenly spaced, to evaluate there.
    """
    options = PackOptions(protocol=protocol, size=size, coding=coding, quality=quality, probes=probes)
    with progress_bar("crops", 1, delay=1.0) as bar:
        packed = run_pack(prepared, file, options, partial(show_stage, bar, "pack"))
    for modality, loss in packed.loss.items():
        print(f"{modality}: {loss}")
    print(f"{packed.people} people, {packed.size} pixels, {file.stat().st_size / 1e6:.1f} MB")
    print(f"Written to {file}; there: pcfh unpack {file.name} prepared")
    return 0
