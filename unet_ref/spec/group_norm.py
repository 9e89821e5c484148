"""Group normalization: every group of channels of every sample standardised by itself, index by index."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from .index import Tensor, definition, indices, tensor
from .scalar import constant, divide, sqrt


class GroupNormGrads(NamedTuple):
    """Gradients of ``group_norm``, named like its arguments; ``None`` where there was no weight or bias."""

    x: Any
    weight: Any
    bias: Any


@definition
def group_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, num_groups: int, eps: Any = 1e-5
) -> Tensor:
    """y[n,c,i] = weight[c] * xhat[n,c,i] + bias[c]  with  xhat[n,c,i] = (x[n,c,i] - mean[n,g]) / sqrt(var[n,g] + eps)

    where ``g = c // (C/G)`` is the group of the channel, and for the M = C/G * (number of i) values of the group
    mean[n,g] = 1/M * sum over c,i of x[n,c,i]  and  var[n,g] = 1/M * sum over c,i of (x[n,c,i] - mean[n,g])^2.
    """
    D = x.shape[1] // num_groups
    xhat, _ = _standardised(x, D, eps)

    def y(n: int, c: int, *i: int) -> Any:
        scaled = xhat(n, c, *i) if weight is None else weight[c] * xhat(n, c, *i)
        return scaled if bias is None else scaled + bias[c]

    return tensor(x.shape, y)


@definition
def group_norm_backward(
    grad_output: Tensor, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *,
    num_groups: int, eps: Any = 1e-5,
) -> GroupNormGrads:  # fmt: skip
    """With dy for ``grad_output`` and dxhat[n,c,i] = weight[c] * dy[n,c,i]:

    dbias[c]   = sum over n,i of dy[n,c,i]
    dweight[c] = sum over n,i of dy[n,c,i] * xhat[n,c,i]
    dx[n,c,i]  = (dxhat[n,c,i] - S1[n,g]/M - xhat[n,c,i] * S2[n,g]/M) / sqrt(var[n,g] + eps)

    with S1[n,g], S2[n,g] the sums of dxhat and of dxhat * xhat over the channels and pixels of the group.
    """
    N, C, *size = x.shape
    D = C // num_groups
    M = len(_members(x, D, 0))
    xhat, deviation = _standardised(x, D, eps)

    def dxhat(n: int, c: int, *i: int) -> Any:
        return grad_output[n, c, *i] if weight is None else weight[c] * grad_output[n, c, *i]

    @functools.cache
    def S1(n: int, g: int) -> Any:
        return sum(dxhat(n, c, *i) for c, *i in _members(x, D, g))

    @functools.cache
    def S2(n: int, g: int) -> Any:
        return sum(dxhat(n, c, *i) * xhat(n, c, *i) for c, *i in _members(x, D, g))

    def dx(n: int, c: int, *i: int) -> Any:
        g = c // D
        centred = dxhat(n, c, *i) - divide(S1(n, g), M) - xhat(n, c, *i) * divide(S2(n, g), M)
        return divide(centred, deviation(n, g))

    def dweight(c: int) -> Any:
        return sum(grad_output[n, c, *i] * xhat(n, c, *i) for n, *i in indices(N, *size))

    def dbias(c: int) -> Any:
        return sum(grad_output[n, c, *i] for n, *i in indices(N, *size))

    return GroupNormGrads(
        tensor(x.shape, dx),
        None if weight is None else tensor((C,), dweight),
        None if bias is None else tensor((C,), dbias),
    )


def _members(x: Tensor, D: int, g: int) -> list[tuple[int, ...]]:
    """The indices ``(c, *i)`` of group ``g``, which has ``D`` channels."""
    return [(g * D + c, *i) for c, *i in indices(D, *x.shape[2:])]


def _standardised(x: Tensor, D: int, eps: Any) -> tuple[Any, Any]:
    """The functions ``xhat(n, c, *i)`` and ``deviation(n, g) = sqrt(var[n,g] + eps)``."""

    @functools.cache
    def mean(n: int, g: int) -> Any:
        members = _members(x, D, g)
        return divide(sum(x[n, c, *i] for c, *i in members), len(members))

    @functools.cache
    def deviation(n: int, g: int) -> Any:
        squares = [(x[n, c, *i] - mean(n, g)) * (x[n, c, *i] - mean(n, g)) for c, *i in _members(x, D, g)]
        var = divide(sum(squares), len(squares))
        return sqrt(var + constant(eps, var))

    def xhat(n: int, c: int, *i: int) -> Any:
        return divide(x[n, c, *i] - mean(n, c // D), deviation(n, c // D))

    return xhat, deviation
