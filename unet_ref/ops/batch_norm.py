"""Batch normalization: every channel standardised over the batch."""

from __future__ import annotations

from typing import Any

from ..backend import Array
from ..errors import ShapeError
from ..operation import operation
from ..spec.batch_norm import BatchNormGrads
from .normalize import BATCH, Moments, backward, check_arguments, forward
from .tiles import rows
from .window import check_grad_output


@operation()
def batch_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None,
    running_mean: Array | None = None, running_var: Array | None = None, *,
    training: bool, eps: Any = 1e-5,
) -> Array:  # fmt: skip
    """Batch normalization: subtract each channel's mean, divide by its standard deviation, scale and shift.

    ``y[n,c,i] = weight[c] * xhat[n,c,i] + bias[c]`` with ``xhat[n,c,i] = (x[n,c,i] - mean[c]) / sqrt(var[c] + eps)``.
    In training ``mean[c]`` is the mean of the M values ``x[n,c,i]`` over n and i, and ``var[c]`` the mean of
    ``(x[n,c,i] - mean[c])**2``; otherwise they are ``running_mean[c]`` and ``running_var[c]``.

    Shape law: the output has the shape of x.

    Arguments:
        x: ``(N, C, ...)`` of any rank from 2: axis 1 is always the channel. Rank 3 is ``(N, C, L)``, as in PyTorch: an
            image without a batch is ``x[None]``.
        weight, bias: ``(C,)`` or ``None`` (for 1 and 0).
        running_mean, running_var: ``(C,)``, both or neither. Needed where ``training`` is false; in training they do
            not enter the output, and ``batch_norm_running_stats`` updates them.
        training: whether the statistics are the batch's own.
        eps: at least 0; stands under the root.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values; one value per channel in training, whose
            spread is nothing; no running statistics where they are needed.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: the variance is biased (M, not M - 1, below the sum); the *running* variance is not. eps stands inside
    the root. PyTorch refuses ``eps=0`` in training, here it is the limit. An empty batch gives an empty output.

    Source: Ioffe and Szegedy, *Batch Normalization* (2015).

    >>> import numpy as np
    >>> batch_norm(np.array([[1.0, 8.0], [3.0, 2.0]]), training=True, eps=0)
    array([[-1.,  1.],
           [ 1., -1.]])
    """
    frozen = _statistics("batch_norm", x, weight, bias, running_mean, running_var, training, eps)
    return forward(rows(x, 2), weight, bias, eps, BATCH, frozen)[0].reshape(x.shape)


@operation()
def batch_norm_backward(
    grad_output: Array, x: Array, weight: Array | None = None, bias: Array | None = None,
    running_mean: Array | None = None, running_var: Array | None = None, *,
    training: bool, eps: Any = 1e-5,
) -> BatchNormGrads:  # fmt: skip
    """The gradients of ``batch_norm`` for x, weight and bias: with ``dy = grad_output``, all sums over n and i,

    ``dbias = sum of dy``, ``dweight = sum of dy * xhat``, and
    ``dx = weight / sqrt(var + eps) * (dy - dbias/M - xhat * dweight/M)`` in training, where x moves mean and variance;
    ``dx = weight / sqrt(var + eps) * dy`` with running statistics.

    The running statistics are constants, as in PyTorch: they are averages of earlier batches, and get no gradient.

    >>> import numpy as np
    >>> x, dy = np.array([[1.0], [3.0], [5.0]]), np.array([[1.0], [-2.0], [1.0]])
    >>> batch_norm_backward(dy, x, np.ones(1), training=True).weight
    array([0.])
    """
    name = "batch_norm_backward"
    frozen = _statistics(name, x, weight, bias, running_mean, running_var, training, eps)
    check_grad_output(name, grad_output, x.shape)
    dx, dweight, dbias = backward(
        rows(grad_output, 2), rows(x, 2), weight, eps, BATCH, frozen, frozen=frozen is not None
    )
    return BatchNormGrads(dx.reshape(x.shape), None if weight is None else dweight, None if bias is None else dbias)


def _statistics(
    name: str, x: Array, weight: Array | None, bias: Array | None,
    running_mean: Array | None, running_var: Array | None, training: bool, eps: Any,
) -> Moments | None:  # fmt: skip
    """All the rules of the arguments; the moments to use where they are not the batch's own."""
    check_arguments(name, x, eps, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    if (running_mean is None) != (running_var is None):
        given, absent = ("running_mean", "running_var") if running_var is None else ("running_var", "running_mean")
        raise ShapeError(f"{name}: {given} was given without {absent}: both or neither")
    if training:
        if x.shape[1] and x.size == x.shape[1]:
            raise ShapeError(f"{name}: training needs more than one value per channel, got x.shape {x.shape}")
        return None
    if running_mean is None or running_var is None:
        raise ShapeError(f"{name}: training=False needs running_mean and running_var")
    mean, variance = (array.reshape(1, -1, 1, 1) for array in (running_mean, running_var))
    return Moments(mean, None, variance)
