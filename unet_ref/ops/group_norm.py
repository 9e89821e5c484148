"""Group normalization: every group of channels of every sample standardised by itself."""

from __future__ import annotations

from typing import Any

from ..backend import Array
from ..errors import ShapeError
from ..operation import operation
from ..spec.group_norm import GroupNormGrads
from .normalize import GROUP, backward, check_arguments, forward
from .tiles import rows
from .window import check_grad_output, integer


@operation()
def group_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, num_groups: int, eps: Any = 1e-5
) -> Array:
    """Group normalization: subtract the mean of each group of channels, divide by its deviation, scale and shift.

    ``y[n,c,i] = weight[c] * xhat[n,c,i] + bias[c]`` with ``xhat[n,c,i] = (x[n,c,i] - mean[n,g]) / sqrt(var[n,g] + eps)``.
    ``g = c // (C/G)`` is the group of the channel; ``mean[n,g]`` is the mean of its M values ``x[n,c,i]`` over c and i,
    and ``var[n,g]`` the mean of ``(x[n,c,i] - mean[n,g])**2``.

    Shape law: the output has the shape of x.

    Arguments:
        x: ``(N, C, ...)`` of any rank from 2: axis 1 is always the channel. Rank 3 is ``(N, C, L)``, as in PyTorch: an
            image without a batch is ``x[None]``.
        weight, bias: ``(C,)`` or ``None`` (for 1 and 0): one number for each channel, not for each group.
        num_groups: G; divides C. ``C`` groups are instance norm, one group is layer norm over ``(C, ...)``.
        eps: at least 0; stands under the root.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: a group is a run of neighbouring channels (``c // (C/G)``, not ``c % G``). The variance is biased. A group
    of one value is its own mean: xhat is 0; PyTorch does the same for two samples and refuses one.

    Source: Wu and He, *Group Normalization* (2018).

    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0, 50.0, 10.0]]), num_groups=2, eps=0)
    array([[-1.,  1.,  1., -1.]])
    """
    groups = _groups("group_norm", x, weight, bias, num_groups, eps)
    return forward(rows(x, 2, groups), weight, bias, eps, GROUP)[0].reshape(x.shape)


@operation()
def group_norm_backward(
    grad_output: Array, x: Array, weight: Array | None = None, bias: Array | None = None, *,
    num_groups: int, eps: Any = 1e-5,
) -> GroupNormGrads:  # fmt: skip
    """The gradients of ``group_norm``: with ``dy = grad_output`` and ``dxhat = weight * dy``,

    ``dbias`` and ``dweight`` are the sums of ``dy`` and of ``dy * xhat`` over n and i;
    ``dx = (dxhat - S1/M - xhat * S2/M) / sqrt(var + eps)`` with S1 and S2 the sums of ``dxhat`` and of ``dxhat * xhat`` over
    the group: unlike in batch norm the weight differs within the sums, and cannot go before them.

    >>> import numpy as np
    >>> x, dy = np.array([[1.0, 3.0, 50.0, 10.0]]), np.array([[1.0, 2.0, 3.0, 4.0]])
    >>> group_norm_backward(dy, x, np.ones(4), num_groups=2, eps=0).weight
    array([-1.,  2.,  3., -4.])
    """
    name = "group_norm_backward"
    groups = _groups(name, x, weight, bias, num_groups, eps)
    check_grad_output(name, grad_output, x.shape)
    dx, dweight, dbias = backward(rows(grad_output, 2, groups), rows(x, 2, groups), weight, eps, GROUP)
    return GroupNormGrads(dx.reshape(x.shape), None if weight is None else dweight, None if bias is None else dbias)


def _groups(name: str, x: Array, weight: Array | None, bias: Array | None, num_groups: Any, eps: Any) -> int:
    """All the rules of the arguments."""
    check_arguments(name, x, eps, weight=weight, bias=bias)
    groups = integer(name, "num_groups", num_groups, 1)
    if x.shape[1] % groups:
        raise ShapeError(f"{name}: x.shape[1] ({x.shape[1]}) must be divisible by num_groups ({groups})")
    return groups
