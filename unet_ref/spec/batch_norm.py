"""Batch normalization: every channel standardised over the batch, index by index."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from .index import Tensor, definition, indices, tensor
from .scalar import constant, divide, sqrt


class BatchNormGrads(NamedTuple):
    """Gradients of ``batch_norm``; ``None`` where there was no weight or bias. Running statistics are constants."""

    x: Any
    weight: Any
    bias: Any


@definition
def batch_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None,
    running_mean: Tensor | None = None, running_var: Tensor | None = None, *,
    training: bool, eps: Any = 1e-5,
) -> Tensor:  # fmt: skip
    """y[n,c,i] = weight[c] * xhat[n,c,i] + bias[c]  with  xhat[n,c,i] = (x[n,c,i] - mean[c]) / sqrt(var[c] + eps)

    In training  mean[c] = 1/M * sum over n,i of x[n,c,i]  and  var[c] = 1/M * sum over n,i of (x[n,c,i] - mean[c])^2
    with M = N * (number of i); otherwise they are the running ones. ``i`` stands for all further indices.
    """
    xhat, _ = _standardised(x, running_mean, running_var, training, eps)

    def y(n: int, c: int, *i: int) -> Any:
        scaled = xhat(n, c, *i) if weight is None else weight[c] * xhat(n, c, *i)
        return scaled if bias is None else scaled + bias[c]

    return tensor(x.shape, y)


@definition
def batch_norm_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None,
    running_mean: Tensor | None = None, running_var: Tensor | None = None, *,
    training: bool, eps: Any = 1e-5,
) -> BatchNormGrads:  # fmt: skip
    """With dy for ``grad_output``, and every sum over n and i:

    dbias[c]   = sum of dy[n,c,i]
    dweight[c] = sum of dy[n,c,i] * xhat[n,c,i]
    dx[n,c,i]  = weight[c] / sqrt(var[c] + eps) * (dy[n,c,i] - dbias[c]/M - xhat[n,c,i] * dweight[c]/M)   in training,
    dx[n,c,i]  = weight[c] / sqrt(var[c] + eps) * dy[n,c,i]   with running statistics, which do not depend on x.
    """
    N, C, *size = x.shape
    places = list(indices(N, *size))
    xhat, deviation = _standardised(x, running_mean, running_var, training, eps)

    @functools.cache
    def dbias(c: int) -> Any:
        return sum(grad_output[n, c, *i] for n, *i in places)

    @functools.cache
    def dweight(c: int) -> Any:
        return sum(grad_output[n, c, *i] * xhat(n, c, *i) for n, *i in places)

    def dx(n: int, c: int, *i: int) -> Any:
        dy = grad_output[n, c, *i]
        if training:
            dy = dy - divide(dbias(c), len(places)) - xhat(n, c, *i) * divide(dweight(c), len(places))
        return divide(dy if weight is None else weight[c] * dy, deviation(c))

    return BatchNormGrads(
        tensor(x.shape, dx),
        None if weight is None else tensor((C,), dweight),
        None if bias is None else tensor((C,), dbias),
    )


def _standardised(x: Tensor, running_mean: Any, running_var: Any, training: bool, eps: Any) -> tuple[Any, Any]:
    """The functions ``xhat(n, c, *i)`` and ``deviation(c) = sqrt(var[c] + eps)``."""
    N, _, *size = x.shape
    places = list(indices(N, *size))

    @functools.cache
    def mean(c: int) -> Any:
        return divide(sum(x[n, c, *i] for n, *i in places), len(places)) if training else running_mean[c]

    @functools.cache
    def deviation(c: int) -> Any:
        if training:
            squares = [(x[n, c, *i] - mean(c)) * (x[n, c, *i] - mean(c)) for n, *i in places]
            var = divide(sum(squares), len(places))
        else:
            var = running_var[c]
        return sqrt(var + constant(eps, var))

    def xhat(n: int, c: int, *i: int) -> Any:
        return divide(x[n, c, *i] - mean(c), deviation(c))

    return xhat, deviation
