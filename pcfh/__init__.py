"""Pose-preserving cross-spectral face hallucination: near-infrared faces to visible-light faces.

    hallucinator = pcfh.load_hallucinator()
    vis = hallucinator(pcfh.load_image("nir.png"))

The names below are imported when they are first used, so that ``import pcfh`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcfh.api_databases import evaluate, landmarks_of, load_database, prepare
    from pcfh.api_faces import (
        align,
        features,
        find_faces,
        inverse_distance_warp,
        load_hallucinator,
        load_image,
        load_recognizer,
    )
    from pcfh.errors import UserError
    from pcfh.evaluation.image_metrics import psnr, ssim
    from pcfh.evaluation.scores import figures
    from pcfh.gallery.store import Gallery
    from pcfh.hallucinate import Hallucinator
    from pcfh.rates import ScoreMatrix
    from pcfh.recognisers.base import Recognizer

__version__ = "0.1.0"

__all__ = [
    "Gallery",
    "Hallucinator",
    "Recognizer",
    "ScoreMatrix",
    "UserError",
    "align",
    "evaluate",
    "features",
    "figures",
    "find_faces",
    "inverse_distance_warp",
    "landmarks_of",
    "load_database",
    "load_hallucinator",
    "load_image",
    "load_recognizer",
    "prepare",
    "psnr",
    "ssim",
]

_ELSEWHERE = {
    **dict.fromkeys(("evaluate", "landmarks_of", "load_database", "prepare"), "pcfh.api_databases"),
    "Gallery": "pcfh.gallery.store",
    "Hallucinator": "pcfh.hallucinate",
    "Recognizer": "pcfh.recognisers.base",
    "ScoreMatrix": "pcfh.rates",
    "UserError": "pcfh.errors",
    "figures": "pcfh.evaluation.scores",
    "psnr": "pcfh.evaluation.image_metrics",
    "ssim": "pcfh.evaluation.image_metrics",
}


def __getattr__(name: str) -> object:
    """Imports a name of ``__all__`` from where it is defined."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "pcfh.api_faces")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The names that are not imported yet, too."""
    return sorted({*globals(), *__all__})
