"""Sets of right answers: what a comparison decides is open where the rounding of its operands may turn it round."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..check.bounds import Profile
from ..ops.pooling import pool_window
from .mistake import Arguments


def interval(tensor: str, arguments: Arguments, input_error: Any, kind: Profile) -> tuple[Array, Array]:
    """The least and the most that each element can be, if ``x`` is off by up to ``input_error``; sums are rounded.

    A pixel may be a window's largest if it is within two errors of the largest; each window gives its gradient to one of
    those that may. A ReLU's gate may be open or closed where x is within the error of 0.
    """
    x = np.asarray(arguments.arrays["x"], dtype=np.float64)
    error = np.broadcast_to(np.asarray(input_error, dtype=np.float64), x.shape)
    if tensor == "output":
        y = getattr(ops, arguments.name)(x, **arguments.options)
        if arguments.name == "relu":
            return np.maximum(x - error, 0), np.maximum(x + error, 0)
        spread = np.max(error, initial=0.0)
        return y - spread, y + spread
    dy = np.asarray(arguments.grad_output, dtype=np.float64)
    if arguments.name == "relu":
        return _open_or_closed(x, error, dy)
    return _landings(x, error, dy, arguments.options, kind)


def _open_or_closed(x: Array, error: Array, dy: Array) -> tuple[Array, Array]:
    least = np.where(x > error, dy, np.minimum(dy, 0))
    most = np.where(x > error, dy, np.maximum(dy, 0))
    closed = x < -error
    return np.where(closed, 0, least), np.where(closed, 0, most)


def _landings(
    x: Array, error: Array, dy: Array, options: dict[str, Any], kind: Profile
) -> tuple[Array, Array]:  # fmt: skip
    """Each window's gradient lands on its one candidate, or on one of several."""
    chosen = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False} | options
    window = pool_window("max_pool2d", x.shape, **chosen)
    taps = [(i, j, r, q) for _, i, r in window.on_image(0) for _, j, q in window.on_image(1)]
    floor = np.full(dy.shape, -np.inf)  # the largest that some pixel surely reaches
    for i, j, r, q in taps:
        floor[..., i, j] = np.maximum(floor[..., i, j], (x - error)[..., r, q])
    candidates = np.zeros(dy.shape)
    for i, j, r, q in taps:
        candidates[..., i, j] += (x + error)[..., r, q] >= floor[..., i, j]
    low, high, magnitude, terms = (np.zeros(x.shape) for _ in range(4))
    for i, j, r, q in taps:
        given = np.where((x + error)[..., r, q] >= floor[..., i, j], dy[..., i, j], 0)
        alone = candidates[..., i, j] == 1
        low[..., r, q] += np.where(alone, given, np.minimum(given, 0))
        high[..., r, q] += np.where(alone, given, np.maximum(given, 0))
        magnitude[..., r, q] += np.abs(given)
        terms[..., r, q] += 1
    room = np.where(magnitude > 0, kind.stored(magnitude, kind.products(magnitude, terms)), 0)
    return low - room, high + room
