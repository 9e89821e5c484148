"""What all resamplings share: along each axis they are a sparse matrix, kept as its rows.

Row ``i`` lists the taps of output pixel ``i``: the input pixels that it reads, each with its weight. ``apply`` multiplies
by the matrix, one tap of every row at a time; ``transpose`` lists, for every input pixel, the outputs that read it, and
so the backward pass is ``apply`` again. The order of each sum is fixed by the list: no scatter, nothing to collide.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ..backend import Array, constant, namespace, real
from ..errors import ShapeError
from .window import Pair, check_image, pair

Taps = list[list[tuple[int, Fraction]]]


class Axis(NamedTuple):
    """One axis of a resized image: its sizes, and how many input pixels one output pixel spans."""

    input: int
    output: int
    ratio: Fraction


def axes(
    name: str, x_shape: Sequence[int], size: Any, scale_factor: Any, multiples: tuple[int, ...]
) -> tuple[Axis, Axis]:
    """Height and width of a resized image: all the rules of ``size`` and ``scale_factor``.

    A scale factor is taken at its word, ``ratio = 1 / scale``, not as the quotient of the sizes; except where the output
    is one of the whole ``multiples`` of the input.
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


def apply(x: Array, taps: Taps, axis: int) -> Array:
    """``y[..., i, ...] = sum over (p, weight) in taps[i] of weight * x[..., p, ...]``, along ``axis`` of ``x``."""
    xp = namespace(x)
    rest = (slice(None),) * axis
    along = (slice(None),) + (None,) * (x.ndim - axis - 1)
    y = None
    for k in range(max(map(len, taps))):
        rows = [i for i, row in enumerate(taps) if len(row) > k]
        pixels, weights = zip(*(taps[i][k] for i in rows), strict=True)
        term = x.take(xp.asarray(pixels), axis=axis)
        if any(weight != 1 for weight in weights):
            term *= _weights(weights, x)[along]
        if y is None:
            y = (
                term
                if len(rows) == len(taps)
                else xp.zeros((*x.shape[:axis], len(taps), *x.shape[axis + 1 :]), x.dtype)
            )
        if y is not term:
            y[(*rest, xp.asarray(rows) if len(rows) < len(taps) else slice(None))] += term
    return y


def _weights(weights: Sequence[Fraction], x: Array) -> Array:
    """The weights as an array that meets ``x`` without changing its dtype."""
    parts = real(x)
    return namespace(x).asarray([constant(weight, parts) for weight in weights], dtype=parts.dtype)


def transpose(taps: Taps, size: int) -> Taps:
    """Row ``p``: the outputs that read input pixel ``p``, with the same weights; ``size`` is the input's size."""
    rows: Taps = [[] for _ in range(size)]
    for i, row in enumerate(taps):
        for pixel, weight in row:
            rows[pixel].append((i, weight))
    return rows


def forward(x: Array, rows: Taps, columns: Taps) -> Array:
    """Both axes of an image, the width first, while it has fewer rows."""
    return apply(apply(x, columns, x.ndim - 1), rows, x.ndim - 2)


def backward(grad_output: Array, rows: Taps, columns: Taps, x_size: Pair) -> Array:
    """The adjoint of ``forward``, in reverse."""
    dx = apply(grad_output, transpose(rows, x_size[0]), grad_output.ndim - 2)
    return apply(dx, transpose(columns, x_size[1]), grad_output.ndim - 1)
