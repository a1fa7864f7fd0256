"""Features of norm one, of all recognisers."""

import numpy as np
from jaxtyping import Float32

from pcfh.errors import UserError


def unit_rows(features: Float32[np.ndarray, "b d"], name: str) -> Float32[np.ndarray, "b d"]:
    """Divides each row by its Euclidean norm.

    Args:
        features: as the recogniser puts them out.
        name: of the recogniser, for the message.

    Raises:
        UserError: a row is zero or not finite.
    """
    norms = np.sqrt(np.square(features.astype(np.float64)).sum(1))
    wrong = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(wrong):
        raise UserError(
            f"{name}: the features of {len(wrong)} of {len(features)} faces are zero or not finite (NaN); "
            "the weights are damaged, or the settings (mean, std, channels) are not the model's"
        )
    return (features / norms[:, None]).astype(np.float32)
