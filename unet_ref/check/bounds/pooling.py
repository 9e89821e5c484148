"""Error bounds of the poolings.

A maximum is one of the inputs, bit for bit. A mean of K values is K - 1 additions and a division, or two roundings
where it is a multiplication by 1/K: ``g(K + 1)`` times the mean of absolute values. The adjoints are sums of such
shares.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...backend import Array
from ...ops.pooling import pool_window
from .copying import collected
from .family import Choice, Errors, Given, absolute, backward, copied
from .profiles import Profile


def max_pool2d(given: Given) -> Errors:
    """Of equal pixels any may be chosen: the gradient of a window with ties may land on each of them."""
    if not given.grads:
        return Errors(copied(given.y))
    rule = "of equal pixels the first, row by row, gets the gradient of its window; any of them may"
    return Errors(copied(given.y), collected(given), {"x": Choice(_ties(given), rule)})


def _ties(given: Given) -> Array:
    """For each pixel the sum of |dy| over the windows in which it is one of several largest."""
    x, y = given.arrays["x"], given.y
    kernel, padding, dilation = (given.options.get(name, 1) for name in ("kernel_size", "padding", "dilation"))
    padding = given.options.get("padding", 0)
    window = pool_window(
        "max_pool2d", x.shape, kernel, given.options.get("stride"), padding, dilation,
        given.options.get("ceil_mode", False),
    )  # fmt: skip
    taps = [(i, j, r, q) for _, i, r in window.on_image(0) for _, j, q in window.on_image(1)]
    count = np.zeros(y.shape)
    for i, j, r, q in taps:
        count[..., i, j] += _equal(x[..., r, q], y[..., i, j])
    contested = np.where(count > 1, np.abs(given.grad_output), 0)
    allowance = np.zeros(x.shape)
    for i, j, r, q in taps:
        allowance[..., r, q] += np.where(_equal(x[..., r, q], y[..., i, j]), contested[..., i, j], 0)
    return allowance


def _equal(x: Any, y: Any) -> Any:
    return (x == y) | (np.isnan(x) & np.isnan(y))


def avg_pool2d(given: Given) -> Errors:
    """K is the number of pixels of the image under a window, whatever it is divided by."""
    options, ones = {**given.options, "divisor_override": 1}, np.ones(given.arrays["x"].shape[-3:])
    shares = backward(given.name, np.ones(given.y.shape[-3:]), {"x": ones}, options)
    return _means(given, ops.avg_pool2d(ones, **options), shares["x"])


def adaptive_avg_pool2d(given: Given) -> Errors:
    """Window i of H' spans ``floor(i H / H') .. ceil((i + 1) H / H') - 1``, and so do the windows over a pixel."""
    size, output = given.arrays["x"].shape[-2:], given.y.shape[-2:]
    rows, columns = (_spans(n, m) for n, m in zip(size, output, strict=True))
    over_rows, over_columns = (_spans(m, n) for n, m in zip(size, output, strict=True))
    return _means(given, rows[:, None] * columns, over_rows[:, None] * over_columns)


def _spans(size: int, outputs: int) -> Array:
    i = np.arange(outputs)
    return -(-(i + 1) * size // max(outputs, 1)) - i * size // max(outputs, 1)


def _means(given: Given, terms: Array, shares: Array) -> Errors:
    magnitude = np.abs(given.magnitude())  # a divisor may be negative
    magnitudes = absolute(given.magnitudes())

    def output(profile: Profile) -> Array:
        return profile.stored(given.y, profile.products(magnitude, terms + 1))

    def gradient(profile: Profile) -> Array:
        return profile.stored(given.grads["x"], profile.products(magnitudes["x"], shares + 1))

    return Errors(output, {"x": gradient} if given.grads else {})
