"""What a bound cannot see: errors that are too large on the average, or lean to one side.

For a sum of K products with ``Q = sqrt(sum of squares of the products)`` the errors of a right direct sum behave like a
random walk: ``d`` has a root mean square of about ``u sqrt(K) (|y| + Q)``, far below its bound ``K u * sum of absolute
values``, and no leaning. Here nothing is proven: the word is *suspicious*.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..backend import Array
from ..check.bounds import Profile
from .mistake import Arguments, Results, right

SUMS = ("conv2d", "conv_transpose2d", "linear")
LEAST = 32  # elements that an average is taken of
TOO_MANY = 4.0  # times what a random walk gives
SIGMAS = 8.0
FACTORS = {2.0**-12: "TF32", 2.0**-9: "bfloat16"}  # half of u_in: what the rounding of a factor is on the average


class Averages:
    """For the operations that are sums of products: Q^2 and K of every result, computed when asked for."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments

    @functools.cached_property
    def squares(self) -> dict[str, Any]:
        """The operation on squares."""
        return self._of(np.square)

    @functools.cached_property
    def terms(self) -> dict[str, Any]:
        """The operation on ones: how many products there are."""
        return self._of(np.ones_like)

    def _of(self, function: Any) -> dict[str, Any]:
        arguments = self.arguments.map(lambda array: function(array.astype(np.float64)))
        results: Results = right(arguments)
        return results.tensors()

    def suspicion(self, tensor: str, got: Array, expected: Array, profile: Profile) -> str:
        """What is suspicious about these errors; empty if nothing is."""
        if self.arguments.name not in SUMS or got.size < LEAST or profile.u_out > profile.u_acc:
            return ""
        y = expected.astype(np.float64)
        d = (got.astype(expected.dtype) - expected).astype(np.float64)
        Q, K = np.sqrt(self.squares[tensor]), self.terms[tensor]
        known = np.isfinite(d) & (Q > 0)
        if known.sum() < LEAST:
            return ""
        d, y, Q, K = d[known], y[known], Q[known], K[known]
        return _leaning(d, y, profile.u_acc) or _too_large(d, y, Q, K, profile.u_acc)

    def relative(self, tensor: str, got: Array, expected: Array) -> float:
        """The root mean square of ``d / Q``: the error of a product on the average, where those of sums do not count."""
        Q = np.sqrt(self.squares[tensor])
        share = np.abs(got.astype(expected.dtype) - expected)[Q > 0] / Q[Q > 0]
        return float(np.sqrt(np.mean(share.astype(np.float64) ** 2, where=np.isfinite(share))))


def _leaning(d: Array, y: Array, u: float) -> str:
    slope = float(d @ y / (y @ y))
    rest = d - slope * y
    spread = float(np.sqrt(np.sum(rest**2 * y**2))) / float(y @ y)
    if abs(slope) <= max(4 * u, SIGMAS * spread):
        return ""
    return f"Suspicious: everything is {1 + slope:.8f} times what it should be, within the bound, but to one side."


def _too_large(d: Array, y: Array, Q: Array, K: Array, u: float) -> str:
    usual = 0.6 * u * np.sqrt(K) * (np.abs(y) / Q + 2)
    size = float(np.sqrt(np.mean((d / Q / usual) ** 2)))
    if size <= TOO_MANY:
        return ""
    relative = float(np.sqrt(np.mean((d / Q) ** 2)))
    like = [name for rounding, name in FACTORS.items() if rounding / 2.5 < relative < rounding * 2.5]
    hint = f", as if factors were rounded to {like[0]}" if like else ""
    return f"Suspicious: the errors are within the bound, but on the average {size:.0f} times as large as in sums " \
           f"in this precision{hint}."  # fmt: skip
