"""What the losses share: one number out, the mean of many."""

from __future__ import annotations

from typing import Any

from ..backend import Array, divide, flat, namespace
from .window import check_shape


def check_same_shape(operation: str, x: Any, target: Any) -> tuple[()]:
    """The shape law of an elementwise loss: equal shapes in, one number out. Nothing is broadcast."""
    check_shape(operation, "target", target, x, "x.shape =")
    return ()


def mean(x: Array) -> Array:
    """The mean of all elements as a 0-d array; of none NaN, as in PyTorch. Row-major, whatever the strides."""
    xp, row = namespace(x), flat(x)
    if not x.size:
        return xp.asarray(xp.nan, dtype=x.dtype)
    total = xp.asarray(row.sum(), dtype=x.dtype)
    return xp.asarray(divide(total, x.size), dtype=x.dtype)


def share(grad_output: Array, count: int) -> Array:
    """What each of ``count`` terms of a mean gets of its gradient."""
    return divide(grad_output, max(count, 1))
