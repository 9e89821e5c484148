"""Two-dimensional average pooling to a given size, index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, pair, tensor
from .scalar import divide


class AdaptiveAvgPool2dGrads(NamedTuple):
    """The gradient of ``adaptive_avg_pool2d``, named like its argument."""

    x: Any


@definition
def adaptive_avg_pool2d(x: Tensor, *, output_size: Any) -> Tensor:
    """y[n,c,i,j] = mean over r in span(i, H, H'), q in span(j, W, W') of x[n,c,r,q]

    where span(i, H, H') = floor(i*H/H') .. ceil((i+1)*H/H') - 1.
    """
    *lead, H, W = x.shape
    H_out, W_out = _sizes(output_size, H, W)

    def y(*index: int) -> Any:
        *n, i, j = index
        rows, columns = _span(i, H, H_out), _span(j, W, W_out)
        return divide(sum(x[*n, r, q] for r in rows for q in columns), len(rows) * len(columns))

    return tensor((*lead, H_out, W_out), y)


@definition
def adaptive_avg_pool2d_backward(grad_output: Tensor, x: Tensor, *, output_size: Any) -> AdaptiveAvgPool2dGrads:
    """dx[n,c,r,q] = sum of grad_output[n,c,i,j] / (pixels of window (i,j)) over the windows (i,j) that hold (r,q)"""
    H, W = x.shape[-2:]
    H_out, W_out = _sizes(output_size, H, W)

    def dx(*index: int) -> Any:
        *n, r, q = index
        total = 0
        for i, j in indices(H_out, W_out):
            rows, columns = _span(i, H, H_out), _span(j, W, W_out)
            if r in rows and q in columns:
                total = total + divide(grad_output[*n, i, j], len(rows) * len(columns))
        return total

    return AdaptiveAvgPool2dGrads(tensor(x.shape, dx))


def _sizes(output_size: Any, H: int, W: int) -> tuple[int, int]:
    """A missing size means that of the image."""
    H_out, W_out = pair(output_size)
    return H if H_out is None else H_out, W if W_out is None else W_out


def _span(i: int, size: int, outputs: int) -> range:
    """The pixels of window ``i``: from floor(i*size/outputs) up to, not with, ceil((i+1)*size/outputs)."""
    return range(i * size // outputs, -((-(i + 1) * size) // outputs))
