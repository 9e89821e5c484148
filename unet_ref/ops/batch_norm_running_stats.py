"""The running mean and variance that batch normalization uses after training."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from ..arithmetic import constant, divide
from ..backend import Array
from ..errors import ShapeError
from ..operation import operation
from ..spec.batch_norm_running_stats import BatchNormRunningStats
from .normalize import BATCH, Moments, measured
from .tiles import rows
from .window import check_shape


@operation()
def batch_norm_running_stats(
    x: Array, running_mean: Array, running_var: Array, *, momentum: Any = 0.1
) -> BatchNormRunningStats:
    """The running statistics after one more batch.

    ``new[c] = (1 - momentum) * old[c] + momentum * batch[c]``, for the mean and for the variance. The batch's mean is
    ``1/M * sum of x[n,c,i]``, its variance ``1/(M-1) * sum of (x[n,c,i] - mean[c])**2``, over the M pairs n, i.

    Shape law: ``mean`` and ``var`` are ``(C,)``.

    Arguments:
        x: ``(N, C, ...)``, what ``batch_norm`` got in training.
        running_mean, running_var: ``(C,)``, the old ones. They stay as they are; the new ones are returned.
        momentum: the weight of the new value, between 0 and 1.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values; one value per channel, of which there is no
            unbiased variance.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: ``momentum`` weighs the new value, as in PyTorch; in Keras, Flax and ONNX it weighs the old one. The
    variance is unbiased, though the one that ``batch_norm`` divides by is not (ONNX keeps the biased one, Keras one or
    the other, depending on the kernel). An empty batch changes nothing. There is no gradient.

    Source: Ioffe and Szegedy, *Batch Normalization* (2015), algorithm 2.

    >>> import numpy as np
    >>> x = np.array([[1.0], [2.0], [6.0]])
    >>> batch_norm_running_stats(x, np.zeros(1), np.ones(1), momentum=0.5)
    BatchNormRunningStats(mean=array([1.5]), var=array([4.]))
    """
    name = "batch_norm_running_stats"
    if x.ndim < 2:
        raise ShapeError(f"{name}: x must be (N, C, ...), got shape {x.shape}")
    for label, array in (("running_mean", running_mean), ("running_var", running_var)):
        check_shape(name, label, array.shape, x.shape[1:2], "(x.shape[1],) =")
    if not isinstance(momentum, Real):
        raise ShapeError(f"{name}: momentum ({momentum!r}) must be a number")
    M = x.shape[0] * math.prod(x.shape[2:])
    if M == 1:
        raise ShapeError(f"{name}: the unbiased variance needs more than one value per channel, got x.shape {x.shape}")
    return running_stats(measured(rows(x, 2), BATCH), M, running_mean, running_var, momentum)


def running_stats(
    moments: Moments, M: int, running_mean: Array, running_var: Array, momentum: Any
) -> BatchNormRunningStats:
    """The same from the moments of a batch of ``M`` values per channel."""
    if M == 0:
        return BatchNormRunningStats(running_mean.copy(), running_var.copy())
    mean = (moments.mean + moments.rest).reshape(-1)
    var = divide(moments.variance.reshape(-1) * M, M - 1)
    m = constant(momentum, running_mean)
    return BatchNormRunningStats((1 - m) * running_mean + m * mean, (1 - m) * running_var + m * var)
