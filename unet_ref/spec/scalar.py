"""Functions of one scalar, for every scalar type that the definitions are read over.

``float``, ``complex``, ``fractions.Fraction``, ``decimal.Decimal``, mpmath's ``mpf``, and any type that brings
methods of these names (dual numbers do). What a type cannot hold exactly it refuses: the root of ``Fraction(2)`` is
an error, never a rounded number.
"""

from __future__ import annotations

import cmath
import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any


def constant(value: Any, like: Any) -> Any:
    """``value`` as a scalar that can meet ``like`` in a sum or a product without losing exactness."""
    if hasattr(like, "constant"):
        return like.constant(value)
    if isinstance(like, int | Fraction):
        return Fraction(value)
    if isinstance(like, Decimal):
        exact = Fraction(value)
        return Decimal(exact.numerator) / Decimal(exact.denominator)
    if hasattr(like, "context"):  # mpmath: its mpf converts rationals and doubles exactly rounded
        exact = Fraction(value)
        return like.context.mpf(exact.numerator) / exact.denominator
    return float(value)


def divide(value: Any, count: int) -> Any:
    """``value / count``; of two ints a Fraction, where Python gives a float."""
    return Fraction(value, count) if isinstance(value, int) and isinstance(count, int) else value / count


def real(x: Any) -> Any:
    """What comparisons go by: the real part of a complex number, everything else as it is."""
    return x.real if isinstance(x, complex) else x


def sqrt(x: Any) -> Any:
    """The principal square root; of a Fraction only where it is rational."""
    if hasattr(x, "sqrt"):  # Decimal, dual numbers
        return x.sqrt()
    if isinstance(x, int | Fraction):
        exact = Fraction(x)
        root = Fraction(math.isqrt(exact.numerator), math.isqrt(exact.denominator))
        if root * root != exact:
            raise ArithmeticError(f"sqrt({x}) is not rational: use Decimal, mpmath or float scalars here")
        return root
    return _call("sqrt", x)


def exp(x: Any) -> Any:
    """E to the x."""
    return x.exp() if callable(getattr(x, "exp", None)) else _call("exp", x)  # an mpf's exp is its exponent


def log(x: Any) -> Any:
    """The natural logarithm (``Decimal`` calls it ``ln``)."""
    if hasattr(x, "ln"):
        return x.ln()
    return x.log() if hasattr(x, "log") else _call("log", x)


def tanh(x: Any) -> Any:
    """(e^x - e^-x) / (e^x + e^-x)."""
    if hasattr(x, "tanh"):
        return x.tanh()
    if isinstance(x, Decimal):
        e = (2 * x).exp()
        return (e - 1) / (e + 1)
    return _call("tanh", x)


def erf(x: Any) -> Any:
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    if hasattr(x, "erf"):
        return x.erf()
    if isinstance(x, Decimal):
        return _decimal_erf(x)
    if isinstance(x, complex):
        return _series_erf(x)
    return _call("erf", x)


def pi(like: Any) -> Any:
    """Pi in the precision of ``like``."""
    if hasattr(like, "pi"):
        return like.pi()
    if isinstance(like, Decimal):
        return _decimal_pi()
    if hasattr(like, "context"):
        return +like.context.pi
    return math.pi


def _call(name: str, x: Any) -> Any:
    if isinstance(x, Fraction | int) and not isinstance(x, bool) and x != 0:
        raise ArithmeticError(f"{name}({x}) is not rational: use Decimal, mpmath or float scalars here")
    if hasattr(x, "context"):
        return getattr(x.context, name)(x)
    return getattr(cmath if isinstance(x, complex) else math, name)(x)


def _decimal_pi() -> Decimal:
    """Machin: pi = 16 arctan(1/5) - 4 arctan(1/239), each an alternating series."""

    def arctan_inverse(n: int) -> Decimal:
        term = total = Decimal(1) / n
        k = 1
        while abs(term) > Decimal(10) ** -(context.prec + 2):
            term /= -n * n
            k += 2
            total += term / k
        return total

    with localcontext() as context:
        context.prec += 8
        value = 16 * arctan_inverse(5) - 4 * arctan_inverse(239)
    return +value


def _decimal_erf(x: Decimal) -> Decimal:
    """erf(x) = 2/sqrt(pi) exp(-x^2) sum_k 2^k x^(2k+1) / (1*3*...*(2k+1)): all terms of one sign, no cancellation."""
    with localcontext() as context:
        context.prec += 8
        term = total = x
        k = 0
        while abs(term) > abs(total) * Decimal(10) ** -(context.prec + 2):
            k += 1
            term *= 2 * x * x / (2 * k + 1)
            total += term
        value = 2 / _decimal_pi().sqrt() * (-x * x).exp() * total
    return +value


def _series_erf(x: complex) -> complex:
    """The same series for complex steps: the imaginary part is tiny, so the real series governs it."""
    term = total = x
    k = 0
    while abs(term) > 1e-18 * abs(total):
        k += 1
        term *= 2 * x * x / (2 * k + 1)
        total += term
    return 2 / math.sqrt(math.pi) * cmath.exp(-x * x) * total
