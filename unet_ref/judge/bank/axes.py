"""Operations that treat rows and columns apart, as a list of taps for each: what the poolings that average and resamplings are.

A wrong formula for one axis is then all that a mistake consists of, and its gradient follows from the same taps.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ...arithmetic import constant, real
from ...ops.taps import Taps, backward, forward
from ..mistake import Arguments, Results
from .tools import zero

One = list[tuple[int, Fraction]]


def mapped(arguments: Arguments, rows: Taps, columns: Taps) -> Results:
    """The image whose row i is the sum of the taps ``rows[i]``, and column j likewise; with its adjoint."""
    x, dy = arguments.arrays["x"], arguments.grad_output
    grads = {} if dy is None else {"x": backward(dy, rows, columns, x.shape[-2:])}
    return Results(forward(x, rows, columns), grads)


def copied(sources: list[int], size: int) -> Taps:
    """Taps that copy one pixel each; one outside the image is nothing."""
    return [[(source, Fraction(1))] if 0 <= source < size else nothing() for source in sources]


def nothing() -> One:
    """A tap that reads nothing."""
    return [(0, Fraction(0))]


def mean_of(pixels: range) -> One:
    """Equal weights that add up to one."""
    return [(pixel, Fraction(1, len(pixels))) for pixel in pixels] or nothing()


def last_writer(taps: Taps, size: int) -> Any:
    """For each pixel of an axis the last row of taps that reads it, and the weight; -1 where none does."""
    writers, weights = np.full(size, -1), [Fraction(0)] * size
    for i, row in enumerate(taps):
        for pixel, weight in row:
            writers[pixel], weights[pixel] = i, weight
    return writers, weights


def overwritten(dy: Any, rows: Taps, columns: Taps, size: tuple[int, int]) -> Any:
    """The gradient of which every pixel keeps only what the last output that reads it gives."""
    (i, down), (j, across) = last_writer(rows, size[0]), last_writer(columns, size[1])
    given = dy[..., i, :] * like(down, dy)[:, None]
    given = given[..., j] * like(across, dy)
    return np.where((i >= 0)[:, None] & (j >= 0), given, zero(given))


def like(weights: list[Fraction], array: Any) -> Any:
    """Rational weights in the dtype of an array."""
    parts = real(array)
    return np.array([constant(weight, parts) for weight in weights], dtype=parts.dtype)
