"""The Gaussian error linear unit and its tanh approximation."""

from __future__ import annotations

from fractions import Fraction

from ..arithmetic import constant, pi, root
from ..backend import Array
from ..errors import ShapeError
from ..operation import operation
from ..spec.gelu import GeluGrads
from .elementwise import each, each_of
from .normal import density, distribution
from .sigmoid import sigma, sigma_slope
from .window import check_grad_output


@operation()
def gelu(x: Array, *, approximate: str = "none") -> Array:
    """Gaussian error linear unit: ``y = x * Phi(x)``, Phi the distribution function of the standard normal distribution.

    ``Phi(x) = (1 + erf(x / sqrt(2))) / 2``; with ``approximate="tanh"`` instead
    ``(1 + tanh(u)) / 2`` with ``u = sqrt(2/pi) * (x + 0.044715 x^3)``, which is ``sigmoid(2u)``.

    Shape law: any shape; y has the shape of x.

    Arguments:
        x: any shape.
        approximate: ``"none"`` or ``"tanh"``; they differ by up to 5e-4.

    Raises
    ------
        ShapeError: another ``approximate``.
        DTypeError: an array of integers, anything that is no array.

    Conventions: ``"none"`` is the default of PyTorch and ONNX, ``"tanh"`` that of JAX and of GPT-2. At minus infinity y
    is NaN (infinity times zero), as in PyTorch. Left of -6 in float32 or -9 in float64, where ``1 + erf`` rounds to zero
    and PyTorch says 0, y is still the small number that it should be.

    Source: Hendrycks and Gimpel, *Gaussian error linear units (GELUs)* (2016).

    >>> import numpy as np
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(6)
    array([-0.158655,  0.      ,  0.841345])
    >>> gelu(np.array([-1.0, 0.0, 1.0]), approximate="tanh").round(6)
    array([-0.158808,  0.      ,  0.841192])
    """
    tanh = _is_tanh("gelu", approximate)
    return each(lambda x: x * (sigma(2 * _u(x)) if tanh else distribution(x)), x)


@operation()
def gelu_backward(grad_output: Array, x: Array, *, approximate: str = "none") -> GeluGrads:
    """The gradient of ``gelu``: ``dx = dy * (Phi(x) + x * Phi'(x))``.

    ``Phi'(x) = exp(-x^2 / 2) / sqrt(2 pi)``; with ``approximate="tanh"`` it is ``s (1 - s) * 2u'`` with
    ``s = sigmoid(2u)`` and ``2u' = 2 sqrt(2/pi) * (1 + 3 * 0.044715 x^2)``.

    >>> import numpy as np
    >>> gelu_backward(np.array([2.0]), np.array([0.0])).x
    array([1.])
    """
    name = "gelu_backward"
    check_grad_output(name, grad_output, x.shape)
    slope = _slope_tanh if _is_tanh(name, approximate) else _slope
    return GeluGrads(each(lambda dy, x: dy * slope(x), grad_output, x))


def with_slope(x: Array) -> tuple[Array, Array]:
    """``gelu(x)`` and its slope, which share most of their work: who keeps the slope need not keep ``x``."""

    def both(x: Array) -> tuple[Array, Array]:
        phi = density(x)
        Phi = distribution(x, phi)
        return x * Phi, Phi + x * phi

    y, slope = each_of(2, both, x)
    return y, slope


def _slope(x: Array) -> Array:
    phi = density(x)
    return distribution(x, phi) + x * phi


def _slope_tanh(x: Array) -> Array:
    w = 2 * _u(x)
    bell = 2 * root(2 / pi(x), x) * sigma_slope(w) * x  # 0 where x is large: taken first, no square overflows
    return sigma(w) + (bell + 3 * _cubic(x) * (bell * x * x))


def _u(x: Array) -> Array:
    return root(2 / pi(x), x) * (x + _cubic(x) * (x * x * x))


def _cubic(x: Array) -> Array:
    return constant(Fraction("0.044715"), x)


def _is_tanh(operation_name: str, approximate: str) -> bool:
    if approximate not in ("none", "tanh"):
        raise ShapeError(f"{operation_name}: approximate ({approximate!r}) must be 'none' or 'tanh'")
    return approximate == "tanh"
