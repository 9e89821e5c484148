"""Numbers as an implementation computes them: a value, and how far from it rounding may have carried them.

Running error analysis (Wilkinson; Higham, *Accuracy and Stability of Numerical Algorithms*, 3.3): every operation
passes on the errors of what it is given, and adds its own, ``u`` times the size of its result. A formula written with
these numbers carries the bound of its own rounding. The value is that of a more precise arithmetic, itself within the
error; so sizes are taken as ``|value| + error``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...backend import Array
from .profiles import Profile

Axes = tuple[int, ...]


class Rounded:
    """An array of computed numbers: ``|computed - exact| <= error``."""

    __array_ufunc__ = None  # array + Rounded is Rounded's business

    def __init__(self, profile: Profile, value: Any, error: Any = 0.0) -> None:
        self.profile, self.value, self.error = profile, np.asarray(value), np.asarray(error)

    @property
    def size(self) -> Array:
        """No computed number, and no exact one, is larger."""
        return np.abs(self.value) + self.error

    def after(self, roundings: float, tiny: float = 0.0) -> Rounded:
        """The same, rounded so many times."""
        rounded = self.error + self.profile.gamma(roundings) * (self.size + self.error) + tiny
        rounded = np.where(self.size > self.profile.largest, np.inf, rounded)
        given = np.isinf(self.value) | (self.size == 0)  # infinite, or 0, because arguments are: both are exact
        return Rounded(self.profile, self.value, np.where(given, self.error, rounded))

    def stored(self) -> Array:
        """The error once the result is stored."""
        return self.profile.stored(self.value, self.error)

    def widened(self, error: Any) -> Rounded:
        """The same, off by so much more."""
        return Rounded(self.profile, self.value, self.error + error)

    def kept(self) -> Rounded:
        """The same, once it was stored to be used again."""
        profile = self.profile
        if not profile.u_kept:
            return self
        stored = self.error + profile.u_kept * self.size + profile.tiny_out
        return Rounded(profile, self.value, np.where(self.size > profile.largest, np.inf, stored))

    def _of(self, other: Any) -> Rounded:
        return other if isinstance(other, Rounded) else Rounded(self.profile, other)

    def __neg__(self) -> Rounded:
        return Rounded(self.profile, -self.value, self.error)

    def __add__(self, other: Any) -> Rounded:
        other = self._of(other)
        return Rounded(self.profile, self.value + other.value, self.error + other.error).after(1)

    def __sub__(self, other: Any) -> Rounded:
        return self + (-self._of(other))

    def __mul__(self, other: Any) -> Rounded:
        other = self._of(other)
        error = self.size * other.error + self.error * other.size + self.error * other.error
        return Rounded(self.profile, self.value * other.value, error).after(1, self.profile.tiny)

    def __truediv__(self, other: Any) -> Rounded:
        other = self._of(other)
        value, least = self.value / other.value, np.abs(other.value) - 2 * other.error
        error = (self.error + (np.abs(value) + self.error) * other.error) / np.where(least > 0, least, 0)
        return Rounded(self.profile, value, error).after(1, self.profile.tiny)

    def __rsub__(self, other: Any) -> Rounded:
        return (-self).__add__(other)

    def sum(self, axis: Axes, *, keepdims: bool = True) -> Rounded:
        """The sum over some axes, in any order: of n numbers n - 1 additions."""
        terms = max(int(np.prod([self.value.shape[k] for k in axis])), 1)
        value, error = (a.sum(axis=axis, keepdims=keepdims) for a in np.broadcast_arrays(self.value, self.error))
        size = np.abs(self.value).sum(axis=axis, keepdims=keepdims) + 2 * error
        error = error + self.profile.gamma(terms - 1) * size
        return Rounded(self.profile, value, np.where(size > self.profile.largest, np.inf, error))

    def function(self, f: Callable[[Any], Any], slope: Any, *, floor: float = 0.0) -> Rounded:
        """A library's exp, log, tanh or erf, with at most that slope between the exact and the computed argument."""
        value = f(self.value)
        own = self.profile.gamma(self.profile.function)
        error = slope * self.error
        return Rounded(self.profile, value, error + own * (np.abs(value) + error + floor) + self.profile.tiny)


def constant(profile: Profile, value: Any) -> Rounded:
    """A constant that is no floating-point number: rounded once, or as the profile rounds constants."""
    return Rounded(profile, value, profile.u_const * np.abs(value)).after(1)


def exp(x: Rounded) -> Rounded:
    """E to the x."""
    return x.function(np.exp, np.exp(x.value + x.error))


def log(x: Rounded) -> Rounded:
    """The natural logarithm; of what may be 0 there is no bound."""
    least = x.value - 2 * x.error
    return x.function(np.log, 1 / np.where(least > 0, least, 0))


def tanh(x: Rounded, floor: float = 0.0) -> Rounded:
    """The hyperbolic tangent."""
    return x.function(np.tanh, 1 / np.cosh(np.maximum(np.abs(x.value) - 2 * x.error, 0)) ** 2, floor=floor)
