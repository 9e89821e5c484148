"""Which point of the input an output pixel of a resized image looks at: the rule that both upsamplings share."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from .index import pair


def resized(
    shape: tuple[int, ...], size: Any, scale_factor: Any, multiples: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[Fraction, Fraction]]:
    """``(H', W')`` and how many input pixels one output pixel spans, ``(rh, rw)``.

    With a size, ``r = H / H'``. With a scale factor, ``H' = floor(H * scale)`` and ``r = 1 / scale``, except where H'
    is one of the whole ``multiples`` of H: there ``r = H / H'`` again.
    """
    H, W = shape[-2:]
    if size is not None:
        H_out, W_out = pair(size)
        return (H_out, W_out), (Fraction(H, H_out), Fraction(W, W_out))
    sh, sw = (float(scale) for scale in pair(scale_factor))
    H_out, W_out = math.floor(H * sh), math.floor(W * sw)
    rh = Fraction(H, H_out) if H_out in [m * H for m in multiples] else 1 / fraction(sh)
    rw = Fraction(W, W_out) if W_out in [m * W for m in multiples] else 1 / fraction(sw)
    return (H_out, W_out), (rh, rw)


def fraction(scale: float) -> Fraction:
    """The fraction that a float was written for: 13/10 for 1.3, 1/3 for 1/3; a float of no short fraction is itself."""
    short = Fraction(scale).limit_denominator(1 << 20)
    return short if float(short) == scale else Fraction(scale)
