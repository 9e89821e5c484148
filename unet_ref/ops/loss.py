"""What the losses share: one number out, the mean of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arithmetic import divide
from ..backend import Array, namespace
from ..passes import flat, row_sums
from .elementwise import in_pieces
from .window import check_shape


def check_same_shape(operation: str, x: Any, target: Any) -> tuple[()]:
    """The shape law of an elementwise loss: equal shapes in, one number out. Nothing is broadcast."""
    check_shape(operation, "target", target, x, "x.shape =")
    return ()


def mean(x: Array) -> Array:
    """The mean of all elements: see ``mean_of``."""
    return mean_of(lambda x: (x,), x)


def mean_of(factors: Callable[..., tuple[Array, ...]], *arrays: Array) -> Array:
    """The mean of terms, each made of the elements in one place of ``arrays``, as a 0-d array; of none NaN, as in PyTorch.

    ``factors`` gets them as rows, row-major whatever the strides, and gives the terms, or two factors of each.
    """
    x, xp = arrays[0], namespace(arrays[0])
    if not x.size:
        return xp.asarray(xp.nan, dtype=x.dtype)
    sums = xp.concatenate(in_pieces(lambda *rows: row_sums(*factors(*rows)), *map(flat, arrays)))
    return xp.asarray(divide(xp.asarray(sums.sum(), dtype=x.dtype), x.size), dtype=x.dtype)


def share(grad_output: Array, count: int) -> Array:
    """What each of ``count`` terms of a mean gets of its gradient."""
    return divide(grad_output, max(count, 1))
