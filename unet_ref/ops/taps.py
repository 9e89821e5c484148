"""Resampling: along each axis it is a sparse matrix, kept as its rows.

Row ``i`` lists the taps of output pixel ``i``: the input pixels that it reads, each with its weight. The forward pass
sums them, one tap of every row at a time. ``transpose`` lists, for every input pixel, the outputs that read it, and so
the backward pass is the same sum. Its order is fixed by the list: no scatter, nothing to collide.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ..arithmetic import constant, real
from ..backend import Array, namespace, nothing, on_device
from ..passes import blocks
from ..threads import parallel
from .window import Pair

Taps = list[list[tuple[int, Fraction]]]
TapsOf = Callable[[Any], Taps]  # the taps of one axis, which knows its sizes: ``input`` and ``output``

MOST_STEPS = 4  # slices to write what one array of indices would do, each of them several times faster


class Tap(NamedTuple):
    """What some rows read in one place of their lists: pixels and their weights, an array or one for all of them."""

    pixels: Any
    weights: Array | None  # all 1


class Group(NamedTuple):
    """Rows with as many taps each: ``y[rows]`` is the sum over the taps of ``weights * x[pixels]``."""

    rows: Any
    taps: list[Tap]


def groups(taps: Taps, like: Array) -> list[Group]:
    """All the rows, as arrays that meet ``like`` without changing its dtype."""
    by_count: dict[int, list[int]] = {}
    for i, row in enumerate(taps):
        by_count.setdefault(len(row), []).append(i)
    xp = namespace(like)
    return [
        Group(_where(xp, rows), [_tap([taps[i][k] for i in rows], real(like)) for k in range(count)])
        for count, all_rows in by_count.items()
        for rows in _evenly(all_rows, taps)
    ]


def _tap(read: list[tuple[int, Fraction]], like: Array) -> Tap:
    xp, (pixels, weights) = namespace(like), zip(*read, strict=True)
    different = list(dict.fromkeys(weights))
    if different == [1]:
        return Tap(_where(xp, pixels), None)
    values = [constant(weight, like) for weight in (weights if len(different) > 1 else different)]
    return Tap(_where(xp, pixels), xp.asarray(values, dtype=like.dtype))


def _evenly(rows: list[int], taps: Taps) -> list[list[int]]:
    """Every q-th of the rows together, for the least q with which all that they read is evenly spaced; else all in one."""
    count = len(taps[rows[0]])
    for q in range(1, min(MOST_STEPS, len(rows)) + 1):
        parts = [rows[first::q] for first in range(q)]
        if all(_even(part) and all(_even([taps[i][k][0] for i in part]) for k in range(count)) for part in parts):
            return parts
    return [rows]


def _even(indices: Sequence[int]) -> bool:
    """Whether a slice can say them."""
    start, step = indices[0], indices[1] - indices[0] if len(indices) > 1 else 1
    return step > 0 and list(indices) == list(range(start, start + step * len(indices), step))


def _where(xp: Any, indices: Sequence[int]) -> Any:
    """A slice, which is read and written several times faster, or an array."""
    if _even(indices):
        return slice(indices[0], indices[-1] + 1, indices[1] - indices[0] if len(indices) > 1 else 1)
    return xp.asarray(indices)


def transpose(taps: Taps, size: int) -> Taps:
    """Row ``p``: the outputs that read input pixel ``p``, with the same weights; ``size`` is the input's size."""
    rows: Taps = [[] for _ in range(size)]
    for i, row in enumerate(taps):
        for pixel, weight in row:
            rows[pixel].append((i, weight))
    return rows


def table(taps: TapsOf, axis: Any, like: Array, *, adjoint: bool = False) -> list[Group]:
    """The rows of ``taps(axis)``, or of its transpose; on the CPU they are made once for a size and a dtype."""
    if on_device(like) or like.dtype == object:
        return _made(taps, axis, like, adjoint)
    return _kept(taps, axis, like.dtype, adjoint)


@functools.lru_cache(maxsize=256)
def _kept(taps: TapsOf, axis: Any, dtype: Any, adjoint: bool) -> list[Group]:
    return _made(taps, axis, nothing(dtype), adjoint)


def _made(taps: TapsOf, axis: Any, like: Array, adjoint: bool) -> list[Group]:
    rows = taps(axis)
    return groups(transpose(rows, axis.input) if adjoint else rows, like)


def forward(x: Array, rows: Taps, columns: Taps) -> Array:
    """Both axes of an image, the width first, while it has fewer rows."""
    return _forward(x, groups(rows, x), groups(columns, x), (len(rows), len(columns)))


def backward(grad_output: Array, rows: Taps, columns: Taps, x_size: Pair) -> Array:
    """The adjoint of ``forward``, in reverse order."""
    down, across = (groups(transpose(taps, n), grad_output) for taps, n in zip((rows, columns), x_size, strict=True))
    return _backward(grad_output, down, across, x_size)


def resample(x: Array, taps: TapsOf, rows: Any, columns: Any) -> Array:
    """``forward`` with the taps of two axes."""
    return _forward(x, table(taps, rows, x), table(taps, columns, x), (rows.output, columns.output))


def resample_backward(grad_output: Array, taps: TapsOf, rows: Any, columns: Any) -> Array:
    """``backward`` with the taps of two axes."""
    down, across = (table(taps, axis, grad_output, adjoint=True) for axis in (rows, columns))
    return _backward(grad_output, down, across, (rows.input, columns.input))


def _forward(x: Array, down: list[Group], across: list[Group], size: Pair) -> Array:
    return _planes(x, size, lambda part: _sum(_sum(part, across, 2, size[1]), down, 1, size[0]))


def _backward(dy: Array, down: list[Group], across: list[Group], size: Pair) -> Array:
    return _planes(dy, size, lambda part: _sum(_sum(part, down, 1, size[0]), across, 2, size[1]))


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


def _sum(x: Array, groups: list[Group], axis: int, size: int) -> Array:
    """``y[n,i,j]``: the sum of the taps of row i (axis 1) or column j (axis 2) of ``x (n, H, W)``; ``size`` of them."""
    lead = (slice(None),) * axis
    y = namespace(x).empty((*x.shape[:axis], size, *x.shape[axis + 1 :]), dtype=x.dtype)
    for rows, taps in groups:
        total = constant(0, x)
        for number, (pixels, weights) in enumerate(taps):
            term = x[(*lead, pixels)] if isinstance(pixels, slice) else x.take(pixels, axis=axis)
            if weights is not None:
                term = term * (weights[:, None] if axis == 1 else weights)
            total = term if number == 0 else total + term
        y[(*lead, rows)] = total
    return y
