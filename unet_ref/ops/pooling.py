"""What the poolings share: the rules of their windows, sums over windows, and work on a few planes at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..backend import Array, namespace
from ..errors import ShapeError
from ..passes import blocks
from ..threads import parallel
from .window import Pair, Window, check_image, pads, pair

AXES = ("height", "width")


def check_pixels(name: str, x_shape: Sequence[int]) -> Pair:
    """The height and width of an image that has pixels to pool."""
    check_image(name, x_shape)
    H, W = x_shape[-2:]
    if min(H, W) < 1:
        raise ShapeError(f"{name}: x must have pixels, got height and width ({H}, {W})")
    return H, W


def pool_window(
    name: str, x_shape: Sequence[int], kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Window:
    """All the rules of a pooling's arguments, and the geometry that follows from them."""
    H, W = check_pixels(name, x_shape)
    kernel, dilations = pair(name, "kernel_size", kernel_size), pair(name, "dilation", dilation)
    strides = kernel if stride is None else pair(name, "stride", stride)
    sides = pads(name, padding)
    output = [
        _outputs(name, *axis, ceil_mode=ceil_mode)
        for axis in zip(AXES, (H, W), kernel, strides, sides, dilations, strict=True)
    ]
    return Window((H, W), (output[0], output[1]), kernel, strides, dilations, sides)


def _outputs(
    name: str, axis: str, size: int, kernel: int, stride: int, pad: Pair, dilation: int, *, ceil_mode: bool
) -> int:
    """``(size + before + after - dilation*(kernel - 1) - 1) // stride + 1``; ceil mode rounds up.

    Ceil mode lets the last window hang over the end, but never start behind the image.
    """
    before, after = pad
    if max(pad) > kernel // 2:
        raise ShapeError(f"{name}: padding of the {axis} {pad} must be at most kernel_size // 2 ({kernel} // 2)")
    over = stride - 1 if ceil_mode else 0
    room, span = size + before + after + over, dilation * (kernel - 1) + 1
    if span > room:
        hanging = f", and {over} over the end" if ceil_mode else ""
        raise ShapeError(
            f"{name}: the padded {axis} ({size} + {before} + {after}{hanging} = {room}) must hold the dilated kernel "
            f"({dilation} * ({kernel} - 1) + 1 = {span})"
        )
    outputs = (room - span) // stride + 1
    if ceil_mode and stride * (outputs - 1) >= size + before:
        outputs -= 1
    # A window that starts on the image reads its first pixel there; one that starts before may jump over the image.
    for start in range(-before, 0, stride)[:outputs]:
        reached = start % dilation  # the first pixel at or after the image's start
        if reached >= size:
            raise ShapeError(
                f"{name}: every window must hold a pixel, but with dilation {dilation} the one that starts at "
                f"{start} jumps over the {axis} ({size})"
            )
    return outputs


def by_planes(function: Callable[..., None], *images: Array) -> None:
    """``function(*images)``, which writes into some of them, on a few ``(n, H, W)`` planes of each at a time.

    As many as stay in the cache: the first of the images, ``(..., H, W)``, is the large one. The threads share them out.
    """
    first = images[0]
    count = math.prod(first.shape[:-2])
    planes = [image.reshape(count, *image.shape[-2:]) for image in images]
    parallel(
        lambda part: function(*(image[part] for image in planes)),
        blocks(count, math.prod(first.shape[-2:]) // 4, first),  # most passes go over the smaller images
    )


def window_sums(x: Array, y: Array, window: Window) -> None:
    """Adds to each pixel of ``y (n, H', W')`` the pixels of ``x (n, H, W)`` under its window.

    First the rows of each window, then the columns of what that gives: KH + KW additions for a window in place of
    KH * KW, which is faster and rounds less.
    """
    rows = namespace(x).zeros((len(x), window.output[0], window.input[1]), dtype=x.dtype)
    for _, i, r in window.on_image(0):
        rows[:, i] += x[:, r]
    for _, j, q in window.on_image(1):
        y[:, :, j] += rows[:, :, q]


def window_sums_adjoint(y: Array, x: Array, window: Window) -> None:
    """The adjoint, the same steps backwards: adds each pixel of ``y`` to the pixels of ``x`` under its window."""
    rows = namespace(x).zeros((len(x), window.output[0], window.input[1]), dtype=x.dtype)
    for _, j, q in window.on_image(1):
        rows[:, :, q] += y[:, :, j]
    for _, i, r in window.on_image(0):
        x[:, r] += rows[:, i]
