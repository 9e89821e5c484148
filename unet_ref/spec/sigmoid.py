"""The logistic sigmoid, element by element."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, tensor
from .scalar import exp, real


class SigmoidGrads(NamedTuple):
    """Gradient of ``sigmoid``, named like its argument."""

    x: Any


def sigma(x: Any) -> Any:
    """1 / (1 + e^-x) of one scalar, or the same fraction as e^x / (1 + e^x): neither exponent is above zero."""
    return exp(x) / (1 + exp(x)) if real(x) <= 0 else 1 / (1 + exp(-x))


@definition
def sigmoid(x: Tensor) -> Tensor:
    """y[i] = 1 / (1 + e^-x[i])"""
    return tensor(x.shape, lambda *i: sigma(x[i]))


@definition
def sigmoid_backward(grad_output: Tensor, x: Tensor) -> SigmoidGrads:
    """dx[i] = dy[i] * s * (1 - s)  with  s = 1 / (1 + e^-x[i]);  1 - s is the sigmoid of -x[i]"""
    return SigmoidGrads(tensor(x.shape, lambda *i: grad_output[i] * sigma(x[i]) * sigma(-x[i])))
