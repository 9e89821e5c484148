"""The sizes of a resized image, and how they follow from ``size`` or ``scale_factor``."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ..errors import ShapeError
from .window import check_image, pair


class Axis(NamedTuple):
    """One axis of a resized image: its sizes, and how many input pixels one output pixel spans."""

    input: int
    output: int
    ratio: Fraction


def axes(
    name: str, x_shape: Sequence[int], size: Any, scale_factor: Any, multiples: tuple[int, ...]
) -> tuple[Axis, Axis]:
    """Height and width of a resized image: all the rules of ``size`` and ``scale_factor``.

    A scale factor is taken at its word, ``ratio = 1 / scale``, not as the quotient of the sizes; except where the
    output is one of the whole ``multiples`` of the input.
    """
    check_image(name, x_shape)
    if (size is None) == (scale_factor is None):
        raise ShapeError(f"{name}: exactly one of size ({size!r}) and scale_factor ({scale_factor!r}) must be given")
    sizes: Sequence[int | None] = (None, None) if size is None else pair(name, "size", size)
    scales = (1.0, 1.0) if scale_factor is None else _scales(name, scale_factor)
    result = []
    for label, n, wanted, scale in zip(("height", "width"), x_shape[-2:], sizes, scales, strict=True):
        output = math.floor(n * scale) if wanted is None else wanted
        if n < 1 or output < 1:
            raise ShapeError(f"{name}: the {label} of input ({n}) and output ({output}) must be at least 1")
        whole = wanted is not None or output in [multiple * n for multiple in multiples]
        result.append(Axis(n, output, Fraction(n, output) if whole else 1 / _fraction(scale)))
    return result[0], result[1]


def _scales(name: str, scale_factor: Any) -> tuple[float, float]:
    given = scale_factor if isinstance(scale_factor, Sequence) else (scale_factor, scale_factor)
    if len(given) != 2 or not all(isinstance(s, numbers.Real) and not isinstance(s, bool) for s in given):
        raise ShapeError(f"{name}: scale_factor ({scale_factor!r}) must be a number or a pair (h, w) of numbers")
    h, w = (float(s) for s in given)
    if not (0 < h < math.inf and 0 < w < math.inf):
        raise ShapeError(f"{name}: scale_factor ({scale_factor!r}) must be positive and finite")
    return h, w


def _fraction(scale: float) -> Fraction:
    """The short fraction that rounds to this float, 13/10 for 1.3; where there is none, the float's own value."""
    short = Fraction(scale).limit_denominator(1 << 20)
    return short if float(short) == scale else Fraction(scale)
