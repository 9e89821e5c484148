"""The standard normal distribution: its density phi and its distribution function Phi, of one row of elements."""

from __future__ import annotations

from ..arithmetic import constant, divide, elementwise, exp, pi, real, root, special
from ..backend import Array, namespace
from ..spec import scalar

SPLIT, TERMS = 3, 240  # at |x| = 3, where both of the expansions below converge slowest, they leave out under 1e-37

# (a + 3/2) * Phi(-a) / phi(a) as a polynomial in t = (a - 4) / (a + 4), the lowest power first: cut-off Chebyshev series,
# which leave out 2e-9 and 3e-18 for all a >= 0. Own computation in 50 digits, which tests/ops/test_gelu.py does again.
MILLS = {
    "f": (
        1.301588106, -0.4559615251, 0.1909781917, -0.01818196151, -0.04202524343, 0.03432023737, -0.01189969655,
        6.922581599e-5, 0.001497455955, -0.0002666817971, -0.0001687814124, 3.510353998e-5, 1.557131279e-5,
    ),
    "d": (
        1.30158810602458369, -0.455961543904836649, 0.190978159340221405, -0.0181814261652622285,
        -0.0420247143471363371, 0.0343158657561369781, -0.0119029688960418037, 0.0000846834944061540838,
        0.00150724808081596158, -0.000293796098671798942, -0.000184310190456362533, 0.0000590705223875591136,
        0.0000287650781300991849, -9.64169045567477434e-6, -5.7242564736264983e-6, 1.26898751140989056e-6,
        1.27279615384866444e-6, -5.65205583088024881e-8, -2.7539865547072741e-7, -4.25904190541620628e-8,
        5.12672072946986611e-8, 1.91028829246348404e-8, -7.02725693825945194e-9, -4.34010334817195056e-9,
        5.15533429512606231e-10, 4.60356850209797974e-10,
    ),
}  # fmt: skip


def density(x: Array) -> Array:
    """``phi(x) = exp(-x^2 / 2) / sqrt(2 pi)``"""
    return exp(divide(-x * x, 2)) / root(2 * pi(x), x)


def distribution(x: Array, phi: Array | None = None) -> Array:
    """``Phi(x) = (1 + erf(x / sqrt(2))) / 2``; far to the left the small number that it is, not 0 or 1 - 1.

    Who has the density already may hand it in.
    """
    if x.dtype == object:
        return divide(1 + elementwise(scalar.erf, x / root(constant(2, x), x)), 2)
    if x.dtype.char in MILLS:
        tail = (density(x) if phi is None else phi) * mills(namespace(x).abs(x))
        return namespace(x).abs((x > 0) - tail)  # right of 0 the rest of 1
    try:
        return special(x).ndtr(x)
    except TypeError:  # SciPy's has no longdouble, CuPy's no complex numbers
        return expanded(x)


def mills(a: Array) -> Array:
    """Mills' ratio ``Phi(-a) / phi(a)`` for ``a >= 0``: smooth, and near ``1 / a`` far out.

    A handful of passes by instructions that work on many numbers at once; SciPy's functions take one number after another.
    """
    coefficients = [constant(c, a) for c in MILLS[a.dtype.char]]
    t = 1 - constant(8, a) / (a + 4)
    total = namespace(a).full_like(a, coefficients[-1])
    for c in reversed(coefficients[:-1]):  # Horner's scheme
        total *= t
        total += c
    total /= a + constant(1.5, a)
    return total


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
