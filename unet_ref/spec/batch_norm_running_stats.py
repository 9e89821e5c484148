"""The running mean and variance that batch normalization uses after training, index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, tensor
from .scalar import constant, divide


class BatchNormRunningStats(NamedTuple):
    """The new running mean and running variance, each ``(C,)``."""

    mean: Any
    var: Any


@definition
def batch_norm_running_stats(
    x: Tensor, running_mean: Tensor, running_var: Tensor, *, momentum: Any = 0.1
) -> BatchNormRunningStats:
    """new[c] = (1 - momentum) * old[c] + momentum * batch[c]  for the mean and for the variance

    where the batch's mean is  1/M * sum over n,i of x[n,c,i]  and its variance, unbiased, is
    1/(M-1) * sum over n,i of (x[n,c,i] - mean[c])^2.  An empty batch says nothing: the old ones stay.
    """
    N, C, *size = x.shape
    places = list(indices(N, *size))
    M = len(places)

    def batch_mean(c: int) -> Any:
        return divide(sum(x[n, c, *i] for n, *i in places), M)

    def batch_var(c: int) -> Any:
        mean = batch_mean(c)
        return divide(sum((x[n, c, *i] - mean) * (x[n, c, *i] - mean) for n, *i in places), M - 1)

    def moved(old: Any, batch: Any) -> Any:
        m = constant(momentum, old)
        return (1 - m) * old + m * batch

    if M == 0:
        return BatchNormRunningStats(running_mean, running_var)
    return BatchNormRunningStats(
        tensor((C,), lambda c: moved(running_mean[c], batch_mean(c))),
        tensor((C,), lambda c: moved(running_var[c], batch_var(c))),
    )
