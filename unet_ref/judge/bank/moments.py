"""Batch and group normalization by one formula with every part open to change, and the gradients that follow from it.

    y = weight * f * (x - a) + bias,   f = scale(v, eps),   v = count * mean of (x - c)^2

Right are ``a = c = mean``, ``f = 1 / sqrt(v + eps)`` and ``count = 1``. As in ``ops.normalize``, x is ``(N, G, D, L)``: the
axes of the sums are (0, 2, 3) for batch norm (D = 1) and (2, 3) for group norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ...arithmetic import divide, sqrt
from ...ops.tiles import rows
from ..mistake import Arguments, Results
from .tools import number

Scale = Callable[[Any, Any], tuple[Any, Any]]


class View(NamedTuple):
    """The arguments as ``(N, G, D, L)``, weight and bias as ``(G, D, 1)``; the mean and variance to normalize with."""

    x: Any
    dy: Any
    weight: Any
    bias: Any
    mean: Any
    variance: Any
    eps: Any
    axes: tuple[int, ...]
    frozen: bool

    @property
    def values(self) -> int:
        """How many values a mean is over."""
        return math.prod(self.x.shape[axis] for axis in self.axes)

    def sum(self, values: Any) -> Any:
        """The sum over the values that share a mean."""
        return np.asarray(values.sum(axis=self.axes, keepdims=True))

    def average(self, values: Any) -> Any:
        """The mean over them."""
        return divide(self.sum(values), max(1, self.values))

    @property
    def root(self) -> Any:
        """``1 / sqrt(variance + eps)``"""
        return 1 / sqrt(self.variance + self.eps)

    @property
    def dxhat(self) -> Any:
        """``weight * dy``"""
        return self.dy if self.weight is None else self.weight * self.dy


def view(arguments: Arguments, *, groups: int | None = None) -> View:
    """What a norm works on; of batch norm in evaluation mode the running statistics, which are frozen."""
    name, arrays, options, dy = arguments
    x = arrays["x"]
    of_groups = options["num_groups"] if name == "group_norm" else 0
    shaped = rows(x, 2, groups or of_groups)
    vectors = (arrays.get("weight"), arrays.get("bias"))
    weight, bias = (None if v is None else v.reshape(*shaped.shape[1:3], 1) for v in vectors)
    axes = (2, 3) if name == "group_norm" else (0, 2, 3)
    eps = number(options.get("eps", 1e-5), x)
    frozen = name == "batch_norm" and not options["training"]
    v = View(shaped, None if dy is None else dy.reshape(shaped.shape), weight, bias, None, None, eps, axes, frozen)
    if frozen:
        mean, variance = (arrays[label].reshape(1, -1, 1, 1) for label in ("running_mean", "running_var"))
    else:
        mean = v.average(shaped)
        variance = v.average((shaped - mean) * (shaped - mean))
    return v._replace(mean=mean, variance=variance)


def reciprocal_root(v: Any, eps: Any) -> tuple[Any, Any]:
    """``1 / sqrt(v + eps)`` and its derivative by v."""
    f = 1 / sqrt(v + eps)
    return f, divide(-f * f * f, 2)


def normalized(
    arguments: Arguments, scale: Scale = reciprocal_root, *,
    subtract: bool = True, centre: bool = True, count: Fraction = Fraction(1), variance: Any = None,
) -> Results:  # fmt: skip
    """The norm by the formula above, with the gradients that follow from it; in evaluation mode nothing moves with x."""
    v = view(arguments)
    offset, spread = (v.x - v.mean if moved else v.x for moved in (subtract, centre))  # x - a, x - c
    if variance is None:
        variance = v.variance if v.frozen else v.average(spread * spread) * number(count, v.x)
    f, slope = scale(variance, v.eps)
    y = offset * f if v.weight is None else v.weight * (offset * f)
    y = y if v.bias is None else y + v.bias
    if v.dy is None:
        return Results(y.reshape(arguments.arrays["x"].shape), {})
    dx = v.dxhat * f
    if not v.frozen:
        if subtract:
            dx = dx - f * v.average(v.dxhat)
        dx = dx + spread * (2 * number(count, v.x) * slope * v.average(v.dxhat * offset))
    return Results(y.reshape(arguments.arrays["x"].shape), gradients(arguments, v, dx, offset * f))


def gradients(arguments: Arguments, v: View, dx: Any, xhat: Any) -> dict[str, Any]:
    """``dx``, and the gradients of weight and bias where there are such."""
    found = {"x": dx.reshape(arguments.arrays["x"].shape)}
    if v.weight is not None:
        found["weight"] = (v.dy * xhat).sum(axis=(0, 3)).reshape(-1)
    if v.bias is not None:
        found["bias"] = v.dy.sum(axis=(0, 3)).reshape(-1)
    return found


def backward(v: View, *, mean_term: float = 1, variance_term: float = 1, root: Any = None) -> Any:
    """``dx = r * (dxhat - S1/M - xhat * S2/M)`` with the two terms weighted."""
    r = v.root if root is None else root
    xhat = (v.x - v.mean) * r
    first, second = v.average(v.dxhat), v.average(v.dxhat * xhat)
    return r * (v.dxhat - number(mean_term, v.x) * first - number(variance_term, v.x) * xhat * second)
