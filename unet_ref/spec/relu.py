"""The rectified linear unit, element by element."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, tensor
from .scalar import real


class ReluGrads(NamedTuple):
    """Gradient of ``relu``, named like its argument."""

    x: Any


@definition
def relu(x: Tensor) -> Tensor:
    """y[i] = x[i] where x[i] > 0, else 0

    A complex number goes by its real part; NaN, which is not ``<= 0``, stays.
    """
    return tensor(x.shape, lambda *i: 0 if real(x[i]) <= 0 else x[i])


@definition
def relu_backward(grad_output: Tensor, x: Tensor) -> ReluGrads:
    """dx[i] = dy[i] where x[i] > 0, else 0: at the kink, too, the slope is taken to be 0."""
    return ReluGrads(tensor(x.shape, lambda *i: 0 if real(x[i]) <= 0 else grad_output[i]))
