"""The binary cross-entropy between targets and the sigmoid of logits, element by element."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, mean, tensor
from .scalar import divide, exp, log, real
from .sigmoid import sigma


class BinaryCrossEntropyWithLogitsGrads(NamedTuple):
    """Gradients of ``binary_cross_entropy_with_logits``, named like its arguments."""

    x: Any
    target: Any


@definition
def binary_cross_entropy_with_logits(x: Tensor, target: Tensor) -> Tensor:
    """The mean over i of -(t log(s) + (1 - t) log(1 - s))  with  s = 1 / (1 + e^-x[i]), t = target[i]

    As log(s) = x[i] + log(1 - s), each element is (1 - t) * x[i] - log(s).
    """
    return tensor((), lambda: mean([(1 - target[i]) * x[i] - _log_sigma(x[i]) for i in indices(*x.shape)]))


def _log_sigma(x: Any) -> Any:
    """log(1 / (1 + e^-x)) with no exponent above zero."""
    return x - log(1 + exp(x)) if real(x) <= 0 else -log(1 + exp(-x))


@definition
def binary_cross_entropy_with_logits_backward(
    grad_output: Tensor, x: Tensor, target: Tensor
) -> BinaryCrossEntropyWithLogitsGrads:
    """With M elements: dx[i] = dy * (s - t) / M, and dtarget[i] = -dy * x[i] / M."""

    def dx(*i: int) -> Any:
        return divide(grad_output[()] * (sigma(x[i]) - target[i]), x.size)

    def dtarget(*i: int) -> Any:
        return divide(-grad_output[()] * x[i], x.size)

    return BinaryCrossEntropyWithLogitsGrads(tensor(x.shape, dx), tensor(x.shape, dtarget))
