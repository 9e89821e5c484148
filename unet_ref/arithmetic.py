"""Arithmetic that is written once for every dtype: rounded where NumPy and CuPy round, exact on exact scalars.

Arrays of exact scalars have the dtype object, and NumPy does not know their roots or exponentials. The functions of
``spec.scalar`` do, element by element.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from .backend import Array, namespace
from .spec import scalar


def elementwise(function: Callable[..., Any], *arrays: Array) -> Array:
    """A scalar function on object arrays."""
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object)


def divide(total: Array, count: Any) -> Array:
    """``total / count``, an int or an array of ints; for exact scalars exactly (Python would divide two ints to a float)."""
    if total.dtype == object:
        return elementwise(scalar.divide, total, count)
    real_type = total.real.dtype
    return total / (real_type.type(count) if isinstance(count, int) else count.astype(real_type))


def sqrt(x: Array) -> Array:
    """Square root; for exact scalars exact, or an error where the root is irrational."""
    return elementwise(scalar.sqrt, x) if x.dtype == object else namespace(x).sqrt(x)


def exp(x: Array) -> Array:
    """E to the x."""
    return elementwise(scalar.exp, x) if x.dtype == object else namespace(x).exp(x)


def log(x: Array) -> Array:
    """The natural logarithm."""
    return elementwise(scalar.log, x) if x.dtype == object else namespace(x).log(x)


def pi(x: Array) -> Any:
    """Pi as a scalar of the precision of ``x``."""
    if x.dtype == object:
        return scalar.pi(x.flat[0] if x.size else 0)
    return x.dtype.type("3.14159265358979323846264338327950288" if x.dtype.char == "g" else math.pi)


def special(x: Array) -> Any:
    """``scipy.special``, or what CuPy has of it; loaded when first asked for."""
    return importlib.import_module("scipy.special" if namespace(x) is np else "cupyx.scipy.special")


def root(value: Any, x: Array) -> Any:
    """The square root of one scalar that goes with ``x``: of ``constant(2, x)``, of ``pi(x)``."""
    return scalar.sqrt(value) if x.dtype == object else np.sqrt(value)


def constant(value: float | Fraction, x: Array) -> Any:
    """``value`` as a scalar that meets the elements of ``x`` without changing their type."""
    if x.dtype == object:
        return scalar.constant(value, x.flat[0] if x.size else 0)
    if x.dtype.char == "g" and isinstance(value, Fraction):  # a longdouble holds more of 1/3 than a float
        return x.dtype.type(value.numerator) / x.dtype.type(value.denominator)
    return x.dtype.type(float(value))


def real(x: Array) -> Array:
    """What comparisons go by: the real part of complex arrays, so that a whole network can be stepped."""
    return x.real if x.dtype.kind == "c" else x
