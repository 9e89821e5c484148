"""Error bounds of the upsamplings.

Along one axis an output pixel is ``sum over p of R[p] x[p]``, a weight for each of the one or two pixels next to the
centre ``s = (i + 1/2) r - 1/2``, which implementations compute in floating point: r is off by 2u, product and
difference round once each, so that s is off by ``ds <= u (3 (i + 1/2) r + |s|) <= 4u (i + 1) r`` and each weight by
as much. R is a continuous function of s: it does not matter whether s crosses a pixel, only that then a third one
takes part. With D for these errors of R, and E for those of the other axis' S, the weights of a pixel are off by ``D
(S + E) + R E``.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ...backend import Array
from ...ops.taps import Taps, backward, forward
from ...spec.resize import resized
from ...spec.upsample_bilinear2d import tents
from .copying import collected
from .family import Choice, Errors, Given, absolute, copied
from .profiles import U32, Profile

ROUNDINGS = 12  # on each axis 1 - w, perhaps both weights over their sum, a product, a sum
ONE = Fraction(1)


def upsample_nearest2d(given: Given) -> Errors:
    """Copies. A coordinate that reaches a whole number, rounded, may stay below it: that copies the pixel before."""
    sizes, ratios = _resized(given, multiples=(1, 2))
    right, other = ([_nearest(n, r, early) for n, r in zip(sizes, ratios, strict=True)] for early in (False, True))
    if right == other:
        return Errors(copied(given.y), collected(given))
    x, dy, rule = given.arrays["x"].astype(np.float64), absolute(given.grad_output), "floor(i * r) of the exact i * r"
    grids = [(rows, columns) for rows in (right[0], other[0]) for columns in (right[1], other[1])]
    offs = [np.abs(forward(x, rows, columns) - given.y) for rows, columns in grids]
    choices = {"output": Choice(np.max(offs, axis=0), rule)}
    if given.grads:
        # whatever lands on a pixel in one of the grids, and not in another, may land there or not
        landing = [backward(dy, rows, columns, x.shape[-2:]) for rows, columns in grids]
        choices["x"] = Choice(sum(landing), rule)
    return Errors(copied(given.y), collected(given), choices)


def _nearest(outputs: int, ratio: Fraction, early: bool) -> Taps:
    """The pixel that each output copies; ``early``: what a coordinate up to 4u smaller in float32 would copy."""
    exact = ratio.denominator & (ratio.denominator - 1) == 0  # a power of two: nothing is rounded
    shrink = 1 - Fraction(4 * U32) if early and not exact else ONE
    return [[(math.floor(i * ratio * shrink), ONE)] for i in range(outputs)]


def upsample_bilinear2d(given: Given) -> Errors:
    """Weights that are off, and the rounding of products and sums."""
    sizes, ratios = _resized(given, multiples=(1,))
    x, dy = absolute(given.arrays["x"]), absolute(given.grad_output)
    R, S = (_weights(*axis) for axis in zip(sizes, ratios, x.shape[-2:], strict=True))

    def weights(profile: Profile) -> tuple[Taps, Taps, Taps]:
        """D, E and S + E."""
        u = min(profile.u_acc, U32)  # nobody computes coordinates in less than float32
        D, E = (_drift(u, *axis) for axis in zip(sizes, ratios, x.shape[-2:], strict=True))
        return D, E, [[*row, *drift] for row, drift in zip(S, E, strict=True)]

    def output(profile: Profile) -> Array:
        D, E, S_E = weights(profile)
        drift = forward(x, D, S_E) + forward(x, R, E)
        return profile.stored(given.y, profile.products(forward(x, R, S) + drift, ROUNDINGS) + drift)

    def gradient(profile: Profile) -> Array:
        D, E, S_E = weights(profile)
        size = x.shape[-2:]
        drift = backward(dy, D, S_E, size) + backward(dy, R, E, size)
        counts = [np.bincount([p for row in D for p, _ in row], minlength=n) for D, n in zip((D, E), size, strict=True)]
        terms = ROUNDINGS + counts[0][:, None] * counts[1]
        magnitude = backward(dy, R, S, size) + drift
        return profile.stored(given.grads["x"], profile.products(magnitude, terms) + drift)

    return Errors(output, {"x": gradient} if given.grads else {})


def _resized(given: Given, multiples: tuple[int, ...]) -> tuple[tuple[int, int], tuple[Fraction, Fraction]]:
    size, scale = (given.options.get(name) for name in ("size", "scale_factor"))
    return resized(given.arrays["x"].shape, size, scale, multiples)


def _weights(outputs: int, ratio: Fraction, size: int) -> Taps:
    return [[(p, w) for p, w in enumerate(row) if w] for row in tents(outputs, ratio, size)]


def _drift(u: float, outputs: int, ratio: Fraction, size: int) -> Taps:
    """How far off the weight of each pixel may be, those included that s might reach."""
    taps: Taps = []
    for i in range(outputs):
        s = min(max((i + Fraction(1, 2)) * ratio - Fraction(1, 2), Fraction(0)), Fraction(size - 1))
        ds = Fraction(4.01 * u) * (i + 1) * ratio
        pixels = range(max(math.floor(s - ds), 0), min(math.ceil(s + ds), size - 1) + 1)
        taps.append([(p, ds) for p in pixels])
    return taps
