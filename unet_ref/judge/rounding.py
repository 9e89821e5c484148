"""Numbers with fewer digits than their dtype has."""

from __future__ import annotations

import numpy as np

from ..backend import Array


def rounded(values: Array, bits: int) -> Array:
    """The nearest numbers with so many significant bits."""
    with np.errstate(all="ignore"):
        fraction, exponent = np.frexp(values.astype(np.float64))
        return np.asarray(np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits), dtype=np.float64)
