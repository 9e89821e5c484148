"""What ``batch_norm`` and ``group_norm`` share: one formula, its adjoint, and the rules of the arguments.

Both see x as ``(N, G, D, L)``: samples, groups, the D channels of a group, L pixels. They differ only in which values
have their mean and variance in common, that is, in the axes of the sums:

    BATCH  (D = 1)  a channel of the whole batch      statistics (1, G, 1, 1)
    GROUP           a group of channels of one sample  statistics (N, G, 1, 1)

    y = weight * xhat + bias,   xhat = (x - mean) * r,   r = 1 / sqrt(variance + eps)

Every tile holds all values of its statistics, so it goes through the cache once, whatever is done to it there, and the
threads share the tiles out among them.
A network may keep the ``Moments`` that ``forward`` returns and hand them to ``backward``, which else finds them again.
float16 is for the caller to widen.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, NamedTuple

from ..arithmetic import constant, divide, sqrt
from ..backend import Array, namespace
from ..errors import ShapeError
from ..passes import row_sums
from ..threads import parallel
from .tiles import Tile, tiles
from .window import check_shape

Axes = tuple[int, ...]
BATCH: Axes = (0, 2, 3)
GROUP: Axes = (2, 3)


class Moments(NamedTuple):
    """The mean is ``mean + rest``, where ``rest`` is what rounding cut off (``None``: nothing). Biased variance."""

    mean: Array
    rest: Array  # or None
    variance: Array

    def at(self, tile: Tile) -> Moments:
        """The moments of a tile."""
        return Moments(*(None if array is None else array[tile] for array in self))


def unknown(x: Array, axes: Axes) -> Moments:
    """Moments to be filled in; they stay 0 where ``x`` has no values."""
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    xp = namespace(x)
    return Moments(*(xp.zeros(shape, dtype=x.dtype) for _ in range(3)))


def measure(x: Array, axes: Axes, moments: Moments, out: Array) -> Array:
    """Fill in the moments of ``x``, and ``out`` with ``x`` without its mean.

    The mean of ``x - mean`` is what the first sum rounded away. Taken off as well, it leaves every digit in place
    however far the mean lies from 0, since the difference of neighbouring floating-point numbers is exact.
    """
    M = math.prod(x.shape[axis] for axis in axes)

    def mean(*factors: Array) -> Array:
        return divide(row_sums(*factors).sum(axis=axes, keepdims=True), M)

    moments.mean[...] = mean(x)
    d = namespace(x).subtract(x, moments.mean, out=out)
    rest = mean(d)
    d -= rest
    moments.rest[...] = namespace(x).where(rest == rest, rest, 0)  # noqa: PLR0124  an infinite mean has no further digits
    moments.variance[...] = mean(d, d)
    return d


def centred(x: Array, moments: Moments, out: Array) -> Array:
    """Fill ``out`` with ``x`` without its mean, where that is known."""
    d = namespace(x).subtract(x, moments.mean, out=out)
    if moments.rest is not None:
        d -= moments.rest
    return d


def measured(x: Array, axes: Axes) -> Moments:
    """The moments of all of ``x (N, G, D, L)``."""
    moments = unknown(x, axes)

    def work(tile: Tile) -> None:
        measure(x[tile], axes, moments.at(tile), out=namespace(x).empty_like(x[tile]))

    parallel(work, tiles(x, whole_batch=axes == BATCH))
    return moments


def reciprocal_root(variance: Array, eps: Any) -> Array:
    """``r = 1 / sqrt(variance + eps)``."""
    return 1 / sqrt(variance + constant(eps, variance))


def forward(
    x: Array, weight: Array | None, bias: Array | None, eps: Any, axes: Axes, frozen: Moments | None = None
) -> tuple[Array, Moments]:
    """``y (N, G, D, L)``, and the moments that it was made with: those of ``x``, or ``frozen`` ones."""
    moments = frozen or unknown(x, axes)
    weight, bias = by_channel(x, weight), by_channel(x, bias)
    y = namespace(x).empty_like(x)

    def work(tile: Tile) -> None:
        m = moments.at(tile)
        part = measure(x[tile], axes, m, y[tile]) if frozen is None else centred(x[tile], m, y[tile])
        r = reciprocal_root(m.variance, eps)
        part *= r if weight is None else r * weight[tile[1]]
        if bias is not None:
            part += bias[tile[1]]

    parallel(work, tiles(x, whole_batch=axes == BATCH))
    return y, moments


def backward(
    dy: Array, x: Array, weight: Array | None, eps: Any, axes: Axes,
    moments: Moments | None = None, *, frozen: bool = False,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """``(dx, dweight, dbias)``, of the shapes ``(N, G, D, L)``, ``(C,)``, ``(C,)``.

    ``frozen``: the moments are constants, not functions of x. Where ``moments`` is None they are found anew.
    """
    xp, M = namespace(x), math.prod(x.shape[axis] for axis in axes)
    known = moments is not None
    moments = moments or unknown(x, axes)
    weight = by_channel(x, weight)
    dx = xp.empty_like(x)
    sum_dy, sum_dy_xhat = (xp.zeros((*x.shape[:3], 1), dtype=x.dtype) for _ in range(2))  # (N, G, D, 1)

    def work(tile: Tile) -> None:
        m, part = moments.at(tile), dx[tile]
        memory = xp.empty_like(part)
        d = centred(x[tile], m, memory) if known else measure(x[tile], axes, m, memory)
        r = reciprocal_root(m.variance, eps)
        w = 1 if weight is None else weight[tile[1]]
        s1 = sum_dy[tile] = row_sums(dy[tile])
        s2 = sum_dy_xhat[tile] = row_sums(dy[tile], d) * r
        xp.multiply(dy[tile], r * w, out=part)
        if not frozen:  # dx = r * (w*dy - S1/M - xhat * S2/M) with the sums S1 of w*dy, S2 of w*dy*xhat
            d *= r * r * divide((w * s2).sum(axis=axes, keepdims=True), M)
            part -= r * divide((w * s1).sum(axis=axes, keepdims=True), M)
            part -= d

    parallel(work, tiles(x, whole_batch=axes == BATCH))
    return dx, sum_dy_xhat.sum(axis=0).reshape(-1), sum_dy.sum(axis=0).reshape(-1)


def by_channel(x: Array, vector: Array | None) -> Array | None:
    """A ``(C,)`` vector as ``(G, D, 1)``."""
    return None if vector is None else vector.reshape(*x.shape[1:3], 1)


def check_arguments(name: str, x: Array, eps: Any, **vectors: Array | None) -> None:
    """The rules that both norms have: rank, one number for each channel, eps."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: x must be (N, C, ...), got shape {x.shape}")
    for label, vector in vectors.items():
        if vector is not None:
            check_shape(name, label, vector.shape, x.shape[1:2], "(x.shape[1],) =")
    if not isinstance(eps, Real) or not float(eps) >= 0:  # not "< 0": NaN is refused too
        raise ShapeError(f"{name}: eps ({eps!r}) must be a number of at least 0")
