"""Two-dimensional max pooling, index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, pads, pair, positions, tensor
from .scalar import real


class MaxPool2dGrads(NamedTuple):
    """The gradient of ``max_pool2d``, named like its argument."""

    x: Any


@definition
def max_pool2d(
    x: Tensor, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
) -> Tensor:  # fmt: skip
    """y[n,c,i,j] = x[n, c, choice(n,c,i,j)]: the largest pixel of the image under the window (i,j)."""
    choice = _choices(x, kernel_size, stride, padding, dilation, ceil_mode)
    return tensor(choice.shape, lambda *index: x[*index[:-2], *choice[index]])


@definition
def max_pool2d_backward(
    grad_output: Tensor, x: Tensor, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
) -> MaxPool2dGrads:  # fmt: skip
    """dx[n,c,r,q] = sum of grad_output[n,c,i,j] over the windows (i,j) with choice(n,c,i,j) == (r,q)"""
    choice = _choices(x, kernel_size, stride, padding, dilation, ceil_mode)

    def dx(*index: int) -> Any:
        *n, r, q = index
        windows = [(*n, i, j) for i, j in indices(*choice.shape[-2:])]
        return sum(grad_output[window] for window in windows if choice[window] == (r, q))

    return MaxPool2dGrads(tensor(x.shape, dx))


def _choices(x: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Tensor:
    """The pixel that each window chooses: of equal ones the first, row by row; of several NaN the last.

    Window (i,j) holds the pixels (sh*i + dh*k - top, sw*j + dw*l - left) that lie on the image.
    """
    *lead, H, W = x.shape
    KH, KW = kernel = pair(kernel_size)
    (sh, sw), (dh, dw) = strides, dilations = pair(stride or kernel_size), pair(dilation)
    (top, _), (left, _) = sides = pads(padding)
    H_out, W_out = (
        positions(size, k, s, pad, d, ceil_mode)
        for size, k, s, pad, d in zip((H, W), kernel, strides, sides, dilations, strict=True)
    )

    def choice(*index: int) -> tuple[int, int]:
        *n, i, j = index
        pixels = [(sh * i + dh * k - top, sw * j + dw * l - left) for k, l in indices(KH, KW)]
        best, *others = [(row, column) for row, column in pixels if 0 <= row < H and 0 <= column < W]
        for pixel in others:
            value, largest = real(x[*n, *pixel]), real(x[*n, *best])
            is_nan = value != value  # noqa: PLR0124 (NaN alone is not itself)
            if value > largest or is_nan:
                best = pixel
        return best

    return tensor((*lead, H_out, W_out), choice)
