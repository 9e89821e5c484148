"""The Gaussian error linear unit and its tanh approximation, element by element."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from .index import Tensor, definition, tensor
from .scalar import constant, divide, erf, exp, pi, sqrt, tanh


class GeluGrads(NamedTuple):
    """Gradient of ``gelu``, named like its argument."""

    x: Any


@definition
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """y[i] = x[i] * Phi(x[i]), Phi the distribution function of the standard normal distribution:

    Phi(x) = (1 + erf(x / sqrt(2))) / 2
           ~ (1 + tanh(u)) / 2  with  u = sqrt(2/pi) * (x + 0.044715 x^3)  for ``approximate="tanh"``
    """
    Phi = _Phi if approximate == "none" else _Phi_tanh
    return tensor(x.shape, lambda *i: x[i] * Phi(x[i]))


@definition
def gelu_backward(grad_output: Tensor, x: Tensor, *, approximate: str = "none") -> GeluGrads:
    """dx[i] = dy[i] * (Phi(x[i]) + x[i] * Phi'(x[i]))  with

    Phi'(x) = e^(-x^2/2) / sqrt(2 pi)
            ~ (1 - tanh(u)^2) / 2 * sqrt(2/pi) * (1 + 3 * 0.044715 x^2)  for ``approximate="tanh"``
    """
    Phi, slope = (_Phi, _density) if approximate == "none" else (_Phi_tanh, _density_tanh)
    return GeluGrads(tensor(x.shape, lambda *i: grad_output[i] * (Phi(x[i]) + x[i] * slope(x[i]))))


def _Phi(x: Any) -> Any:
    return (1 + erf(x / sqrt(constant(2, x)))) / 2


def _density(x: Any) -> Any:
    return exp(-divide(x * x, 2)) / sqrt(2 * pi(x))


def _Phi_tanh(x: Any) -> Any:
    return (1 + tanh(_u(x))) / 2


def _density_tanh(x: Any) -> Any:
    t = tanh(_u(x))
    return (1 - t * t) / 2 * sqrt(2 / pi(x)) * (1 + 3 * _cubic(x) * x * x)


def _u(x: Any) -> Any:
    return sqrt(2 / pi(x)) * (x + _cubic(x) * x * x * x)


def _cubic(x: Any) -> Any:
    return constant(Fraction("0.044715"), x)
