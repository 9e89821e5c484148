"""What all resamplings share: along each axis they are a sparse matrix, kept as its rows.

Row ``i`` lists the taps of output pixel ``i``: the input pixels that it reads, each with its weight. The forward pass
sums them, one tap of every row at a time. ``transpose`` lists, for every input pixel, the outputs that read it, and so
the backward pass is the same sum. Its order is fixed by the list: no scatter, nothing to collide.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ..backend import Array, blocks, constant, namespace, real
from ..errors import ShapeError
from ..threads import parallel
from .window import Pair, check_image, pair

Taps = list[list[tuple[int, Fraction]]]

EVERY = slice(None)


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


class Term(NamedTuple):
    """One tap of every row that has so many: ``y[rows] += weights * x[pixels]``; weights ``None`` are all 1."""

    rows: Any
    pixels: Any
    weights: Array | None


def terms(taps: Taps, like: Array) -> list[Term]:
    """The rows' first taps, their second ones, and so on, as arrays that meet ``like`` without changing its dtype."""
    xp, parts = namespace(like), real(like)
    result = []
    for k in range(max(map(len, taps))):
        rows = [i for i, row in enumerate(taps) if len(row) > k]
        pixels, weights = zip(*(taps[i][k] for i in rows), strict=True)
        values = None
        if any(weight != 1 for weight in weights):
            values = xp.asarray([constant(weight, parts) for weight in weights], dtype=parts.dtype)
        result.append(Term(EVERY if len(rows) == len(taps) else _where(xp, rows), _where(xp, pixels), values))
    return result


def _where(xp: Any, indices: Sequence[int]) -> Any:
    """A slice where the indices are evenly spaced, which is read and written several times faster; else an array."""
    start, stop, step = indices[0], indices[-1] + 1, indices[1] - indices[0] if len(indices) > 1 else 1
    if step > 0 and list(indices) == list(range(start, stop, step)):
        return slice(start, stop, step)
    return xp.asarray(indices)


def transpose(taps: Taps, size: int) -> Taps:
    """Row ``p``: the outputs that read input pixel ``p``, with the same weights; ``size`` is the input's size."""
    rows: Taps = [[] for _ in range(size)]
    for i, row in enumerate(taps):
        for pixel, weight in row:
            rows[pixel].append((i, weight))
    return rows


def forward(x: Array, rows: Taps, columns: Taps) -> Array:
    """Both axes of an image, the width first, while it has fewer rows."""
    across, down = terms(columns, x), terms(rows, x)
    return _planes(
        x, (len(rows), len(columns)), lambda part: _sum(_sum(part, across, 2, len(columns)), down, 1, len(rows))
    )


def backward(grad_output: Array, rows: Taps, columns: Taps, x_size: Pair) -> Array:
    """The adjoint of ``forward``, in reverse order."""
    H, W = x_size
    down, across = terms(transpose(rows, H), grad_output), terms(transpose(columns, W), grad_output)
    return _planes(grad_output, (H, W), lambda part: _sum(_sum(part, down, 1, H), across, 2, W))


def _planes(x: Array, size: Pair, function: Callable[[Array], Array]) -> Array:
    """``function`` on every plane of ``x (..., H, W)``, a few at a time, so that what it makes on the way stays
    in the cache; the threads share them out.
    """
    planes = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
    y = namespace(x).empty((len(planes), *size), dtype=x.dtype)

    def fill(part: slice) -> None:
        y[part] = function(planes[part])

    parallel(fill, blocks(len(planes), max(math.prod(size), math.prod(x.shape[-2:])), x))
    return y.reshape(*x.shape[:-2], *size)


def _sum(x: Array, taps: list[Term], axis: int, size: int) -> Array:
    """``y[n,i,j]``: the sum of the taps of row i (axis 1) or column j (axis 2) of ``x (n, H, W)``; ``size`` of them."""
    lead = (slice(None),) * axis
    total = None
    for rows, pixels, weights in taps:
        is_view = isinstance(pixels, slice)
        term = x[(*lead, pixels)] if is_view else x.take(pixels, axis=axis)
        if weights is not None:
            term, is_view = term * (weights[:, None] if axis == 1 else weights), False
        if total is None and rows is EVERY and not is_view:
            total = term
            continue
        if total is None:
            total = namespace(x).zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), dtype=x.dtype)
        total[(*lead, rows)] += term
    return total
