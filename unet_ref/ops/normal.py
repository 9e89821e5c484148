"""The standard normal distribution: its density phi and its distribution function Phi, of one row of elements."""

from __future__ import annotations

from ..backend import Array, constant, divide, elementwise, exp, namespace, pi, real, root, special
from ..spec import scalar

SPLIT, TERMS = 3, 240  # at |x| = 3, where both of the expansions below converge slowest, they leave out under 1e-37


def density(x: Array) -> Array:
    """``phi(x) = exp(-x^2 / 2) / sqrt(2 pi)``"""
    return exp(divide(-x * x, 2)) / root(2 * pi(x), x)


def distribution(x: Array) -> Array:
    """``Phi(x) = (1 + erf(x / sqrt(2))) / 2``; far to the left the small number that it is, not 0 or 1 - 1."""
    if x.dtype == object:
        return divide(1 + elementwise(scalar.erf, x / root(constant(2, x), x)), 2)
    try:
        return special(x).ndtr(x)
    except TypeError:  # SciPy's has no longdouble, CuPy's no complex numbers
        return expanded(x)


def expanded(x: Array) -> Array:
    """Phi in the precision of x, slowly, for real numbers and for complex ones near the real axis.

    Near 0 ``1/2 + phi(x) (x + x^3/3 + x^5/(3*5) + ...)``, without cancellation; further out, on the side away from
    0, ``phi(x) / (x + 1/(x + 2/(x + 3/(x + ...))))``. Abramowitz and Stegun, 26.2.11 and 26.2.14.
    """
    xp, right = namespace(x), real(x) > 0
    term = total = x
    for k in range(1, TERMS):
        term = term * x * x / (2 * k + 1)
        total = total + term
    away = xp.where(right, x, -x)
    fraction = away
    for k in range(TERMS, 0, -1):
        fraction = away + k / fraction
    tail = density(x) / fraction
    return xp.where(real(away) <= SPLIT, constant(0.5, x) + density(x) * total, xp.where(right, 1 - tail, tail))
