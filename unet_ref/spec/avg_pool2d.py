"""Two-dimensional average pooling, index by index."""

from __future__ import annotations

from typing import Any, NamedTuple

from .index import Tensor, definition, indices, pads, pair, positions, tensor
from .scalar import divide


class AvgPool2dGrads(NamedTuple):
    """The gradient of ``avg_pool2d``, named like its argument."""

    x: Any


@definition
def avg_pool2d(
    x: Tensor, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """y[n,c,i,j] = (sum over the pixels (r,q) of the image under window (i,j) of x[n,c,r,q]) / divisor(i,j)

    divisor(i,j): the pixels under the window, those of the padding too if ``count_include_pad``, but never what hangs
    over the padding in ceil mode; or ``divisor_override``.
    """
    (H_out, W_out), pixels, divisor = _windows(
        x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )

    def y(*index: int) -> Any:
        *n, i, j = index
        return divide(sum(x[*n, r, q] for r, q in pixels(i, j)), divisor(i, j))

    return tensor((*x.shape[:-2], H_out, W_out), y)


@definition
def avg_pool2d_backward(
    grad_output: Tensor, x: Tensor, *,
    kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> AvgPool2dGrads:  # fmt: skip
    """dx[n,c,r,q] = sum of grad_output[n,c,i,j] / divisor(i,j) over the windows (i,j) that hold the pixel (r,q)"""
    (H_out, W_out), pixels, divisor = _windows(
        x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )

    def dx(*index: int) -> Any:
        *n, r, q = index
        return sum(
            divide(grad_output[*n, i, j], divisor(i, j)) for i, j in indices(H_out, W_out) if (r, q) in pixels(i, j)
        )

    return AvgPool2dGrads(tensor(x.shape, dx))


def _windows(
    x: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    """How many windows there are, the pixels of the image under each, and by what its sum is divided."""
    H, W = x.shape[-2:]
    (KH, KW), (sh, sw) = kernel, strides = pair(kernel_size), pair(stride or kernel_size)
    (top, bottom), (left, right) = sides = pads(padding)
    sizes = tuple(
        positions(size, k, s, pad, ceil_mode=ceil_mode)
        for size, k, s, pad in zip((H, W), kernel, strides, sides, strict=True)
    )

    def padded_pixels(i: int, j: int) -> list[tuple[int, int]]:
        under = [(sh * i + k - top, sw * j + l - left) for k, l in indices(KH, KW)]
        return [(r, q) for r, q in under if r < H + bottom and q < W + right]

    def pixels(i: int, j: int) -> list[tuple[int, int]]:
        return [(r, q) for r, q in padded_pixels(i, j) if 0 <= r < H and 0 <= q < W]

    def divisor(i: int, j: int) -> int:
        if divisor_override is not None:
            return divisor_override
        return len(padded_pixels(i, j) if count_include_pad else pixels(i, j))

    return sizes, pixels, divisor
