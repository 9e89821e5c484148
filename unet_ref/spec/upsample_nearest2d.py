"""Nearest-neighbour upsampling, index by index."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

from .index import Tensor, definition, indices, tensor
from .resize import resized


class UpsampleNearest2dGrads(NamedTuple):
    """The gradient of ``upsample_nearest2d``, named like its argument."""

    x: Any


@definition
def upsample_nearest2d(x: Tensor, *, size: Any = None, scale_factor: Any = None) -> Tensor:
    """y[n,c,i,j] = x[n, c, row[i], column[j]]

    where ``row[i] = floor(i * rh)`` with rh the number of input pixels per output pixel; columns likewise.
    """
    (H_out, W_out), (rh, rw) = resized(x.shape, size, scale_factor, multiples=(1, 2))
    row, column = sources(H_out, rh), sources(W_out, rw)

    def y(*index: int) -> Any:
        *n, i, j = index
        return x[*n, row[i], column[j]]

    return tensor((*x.shape[:-2], H_out, W_out), y)


@definition
def upsample_nearest2d_backward(
    grad_output: Tensor, x: Tensor, *, size: Any = None, scale_factor: Any = None
) -> UpsampleNearest2dGrads:
    """dx[n,c,p,q] = sum of dy[n,c,i,j] over all i, j with row[i] == p and column[j] == q"""
    (H_out, W_out), (rh, rw) = resized(x.shape, size, scale_factor, multiples=(1, 2))
    row, column = sources(H_out, rh), sources(W_out, rw)

    def dx(*index: int) -> Any:
        *n, p, q = index
        total = 0
        for i, j in indices(H_out, W_out):
            if row[i] == p and column[j] == q:
                total = total + grad_output[*n, i, j]
        return total

    return UpsampleNearest2dGrads(tensor(x.shape, dx))


def sources(output: int, ratio: Fraction) -> list[int]:
    """For each output pixel the input pixel that it copies: the one in which its upper left corner lies."""
    return [math.floor(i * ratio) for i in range(output)]
