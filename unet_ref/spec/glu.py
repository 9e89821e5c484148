"""The gated linear unit: one half of an axis, gated by the sigmoid of the other, element by element."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, tensor
from .sigmoid import sigma


class GluGrads(NamedTuple):
    """Gradient of ``glu``, named like its argument."""

    x: Any


@definition
def glu(x: Tensor, *, axis: int = -1) -> Tensor:
    """y[i,k,j] = x[i,k,j] * sigma(x[i,K+k,j])  for k < K, where the axis of k has 2K elements in x"""
    axis = axis % x.ndim
    K = x.shape[axis] // 2

    def y(*value: int) -> Any:
        return x[value] * sigma(x[_moved(value, axis, K)])

    return tensor((*x.shape[:axis], K, *x.shape[axis + 1 :]), y)


@definition
def glu_backward(grad_output: Tensor, x: Tensor, *, axis: int = -1) -> GluGrads:
    """With s = sigma(x[i,K+k,j]), for k < K:

    dx[i,k,j]   = dy[i,k,j] * s
    dx[i,K+k,j] = dy[i,k,j] * x[i,k,j] * s * (1 - s);  1 - s is sigma(-x[i,K+k,j])
    """
    axis = axis % x.ndim
    K = x.shape[axis] // 2

    def dx(*index: int) -> Any:
        if index[axis] < K:
            return grad_output[index] * sigma(x[_moved(index, axis, K)])
        value, gate = _moved(index, axis, -K), index
        return grad_output[value] * x[value] * sigma(x[gate]) * sigma(-x[gate])

    return GluGrads(tensor(x.shape, dx))


def _moved(index: tuple[int, ...], axis: int, by: int) -> tuple[int, ...]:
    """The index ``by`` further along ``axis``."""
    return (*index[:axis], index[axis] + by, *index[axis + 1 :])
