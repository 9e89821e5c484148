"""A border around an image, index by index: constant, reflected or replicated."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import scalar
from .index import Tensor, definition, indices, pads, tensor


class Pad2dGrads(NamedTuple):
    """The gradient of ``pad2d``, named like its argument."""

    x: Any


@definition
def pad2d(x: Tensor, *, padding: Any, mode: str = "constant", value: float = 0) -> Tensor:
    """y[n,c,i,j] = x[n, c, source(i - top, H), source(j - left, W)]

    where ``source`` brings a row or column outside the image back into it; in ``constant`` mode there is nothing to
    bring back, and y is ``value`` there. Negative pads take rows or columns away.
    """
    *lead, C, H, W = x.shape
    (top, bottom), (left, right) = pads(padding)

    def y(*index: int) -> Any:
        *n, i, j = index
        p, q = source(i - top, H, mode), source(j - left, W, mode)
        if p is None or q is None:
            return scalar.constant(value, x.flat[0] if x.size else 0)
        return x[*n, p, q]

    return tensor((*lead, C, H + top + bottom, W + left + right), y)


@definition
def pad2d_backward(
    grad_output: Tensor, x: Tensor, *, padding: Any, mode: str = "constant", value: float = 0
) -> Pad2dGrads:
    """dx[n,c,p,q] = sum of dy[n,c,i,j] over all i, j with source(i - top, H) == p and source(j - left, W) == q"""
    del value  # a constant has no gradient
    H, W = x.shape[-2:]
    (top, _), (left, _) = pads(padding)

    def dx(*index: int) -> Any:
        *n, p, q = index
        total = 0
        for i, j in indices(*grad_output.shape[-2:]):
            if source(i - top, H, mode) == p and source(j - left, W, mode) == q:
                total = total + grad_output[*n, i, j]
        return total

    return Pad2dGrads(tensor(x.shape, dx))


def source(i: int, size: int, mode: str) -> int | None:
    """The pixel that stands at position ``i``, inside the image or not, along one axis."""
    if mode == "replicate":
        return min(max(i, 0), size - 1)
    if mode == "reflect":  # about the centres of the first and of the last pixel
        return size - 1 - abs(size - 1 - abs(i))
    return i if 0 <= i < size else None
