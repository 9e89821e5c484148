"""The mean squared error, element by element."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, mean, tensor
from .scalar import divide


class MseLossGrads(NamedTuple):
    """Gradients of ``mse_loss``, named like its arguments."""

    x: Any
    target: Any


@definition
def mse_loss(x: Tensor, target: Tensor) -> Tensor:
    """The mean over i of (x[i] - target[i])^2"""
    return tensor((), lambda: mean([(x[i] - target[i]) * (x[i] - target[i]) for i in indices(*x.shape)]))


@definition
def mse_loss_backward(grad_output: Tensor, x: Tensor, target: Tensor) -> MseLossGrads:
    """With M elements: dx[i] = dy * 2 (x[i] - target[i]) / M, and dtarget = -dx."""

    def dx(*i: int) -> Any:
        return divide(2 * grad_output[()] * (x[i] - target[i]), x.size)

    return MseLossGrads(tensor(x.shape, dx), tensor(x.shape, lambda *i: -dx(*i)))
