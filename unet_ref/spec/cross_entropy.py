"""The cross-entropy between classes and the softmax of logits, element by element."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, mean, tensor
from .scalar import divide, exp, log, real


class CrossEntropyGrads(NamedTuple):
    """Gradient of ``cross_entropy``; the target is a class, and has none."""

    x: Any


@definition
def cross_entropy(x: Tensor, target: Tensor) -> Tensor:
    """The mean over n,i of -log(softmax(x[n,:,i])[t])  with  t = target[n,i]

    That is the mean over n,i of log(sum over c of e^x[n,c,i]) - x[n,t,i]. Logits ``(C,)`` are one sample without n and i.
    """
    x, target = _batched(x, target)
    return tensor((), lambda: mean([_log_sum_exp(_logits(x, ni)) - _logits(x, ni)[target[ni]] for ni in _all(target)]))


@definition
def cross_entropy_backward(grad_output: Tensor, x: Tensor, target: Tensor) -> CrossEntropyGrads:
    """With M targets: dx[n,c,i] = dy * (softmax(x[n,:,i])[c] - (1 if c == target[n,i] else 0)) / M."""
    shape = x.shape
    x, target = _batched(x, target)

    def dx(n: int, c: int, *i: int) -> Any:
        probability = exp(x[n, c, *i] - _log_sum_exp(_logits(x, (n, *i))))
        return divide(grad_output[()] * (probability - (c == target[n, *i])), target.size)

    return CrossEntropyGrads(tensor(x.shape, dx).reshape(shape))


def _batched(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    return (x, target) if x.ndim > 1 else (x[None], target[None])


def _all(target: Tensor) -> list[tuple[int, ...]]:
    return list(indices(*target.shape))


def _logits(x: Tensor, ni: tuple[int, ...]) -> list[Any]:
    """The logits of all classes at ``n,i``."""
    n, *i = ni
    return [x[n, c, *i] for c in range(x.shape[1])]


def _log_sum_exp(logits: list[Any]) -> Any:
    """log(sum of e^x) as m + log(sum of e^(x - m)) with the largest m: nothing overflows."""
    m = max(logits, key=real)
    return m + log(sum(exp(x - m) for x in logits))
