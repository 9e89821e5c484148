"""The middle of an image, index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, pair, tensor


class CenterCrop2dGrads(NamedTuple):
    """The gradient of ``center_crop2d``, named like its argument."""

    x: Any


@definition
def center_crop2d(x: Tensor, *, size: Any) -> Tensor:
    """y[n,c,i,j] = x[n, c, i + top, j + left]

    for ``i < h``, ``j < w`` of ``size = (h, w)``, with ``top = (H - h) // 2`` and ``left = (W - w) // 2``.
    """
    *lead, C, H, W = x.shape
    h, w = pair(size)
    top, left = (H - h) // 2, (W - w) // 2

    def y(*index: int) -> Any:
        *n, i, j = index
        return x[*n, i + top, j + left]

    return tensor((*lead, C, h, w), y)


@definition
def center_crop2d_backward(grad_output: Tensor, x: Tensor, *, size: Any) -> CenterCrop2dGrads:
    """dx[n,c,p,q] = dy[n, c, p - top, q - left] where that lies in the crop, 0 elsewhere."""
    H, W = x.shape[-2:]
    h, w = pair(size)
    top, left = (H - h) // 2, (W - w) // 2

    def dx(*index: int) -> Any:
        *n, p, q = index
        inside = 0 <= p - top < h and 0 <= q - left < w
        return grad_output[*n, p - top, q - left] if inside else 0

    return CenterCrop2dGrads(tensor(x.shape, dx))
