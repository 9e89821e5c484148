"""Sums that windows have in common: overlaps of a gradient or of a painted output, and sums over the output's pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops.window import Window
from ..mistake import Arguments, Base, Results, mistake
from .convolution import WEIGHTED
from .tools import grafted, number, regraded, without, zero
from .window import CONVOLUTIONS, window_of


@mistake(
    "conv2d", mend="Add to the gradient: a pixel under several windows gets something from each.", affects=("x",)
)  # fmt: skip
def gradient_not_accumulated_over_overlaps(arguments: Arguments, base: Base) -> Results:
    """Where windows overlap, the last one overwrites what the others gave to the gradient of x."""
    painted = _last_painted(arguments, base, lambda results: results.grads["x"])
    return regraded(base(arguments), x=lambda _: painted)


@mistake(
    "conv_transpose2d", mend="Add to the output: a pixel that several kernels reach gets something from each.",
    affects=("output",), seen=("mxnet#11203",),
)  # fmt: skip
def output_not_accumulated_over_overlaps(arguments: Arguments, base: Base) -> Results:
    """Where kernels overlap on the output, the last one overwrites what the others painted there."""
    painted, bias = _last_painted(arguments, base, lambda results: results.output), arguments.arrays.get("bias")
    return base(arguments)._replace(output=painted if bias is None else painted + bias[:, None, None])


def _last_painted(arguments: Arguments, base: Base, part: Callable[[Results], Any]) -> Any:
    """For each pixel what the last window that covers it gives: one tap of the kernel after another."""
    window, weight = window_of(arguments), arguments.arrays["weight"]
    rows, columns = (_last_taps(window, axis) for axis in (0, 1))
    total: Any = None
    for k, l in np.ndindex(*window.kernel):
        only = zero(weight)
        only[:, :, k, l] = weight[:, :, k, l]
        given = part(base(arguments.with_arrays(weight=only, bias=None)))
        total = np.where((rows == k)[:, None] & (columns == l), given, zero(given) if total is None else total)
    return total


def _last_taps(window: Window, axis: int) -> Any:
    """For each pixel of an axis the tap with which the last window covers it; -1 where none does."""
    taps = np.full(window.input[axis], -1)
    for i, k in np.ndindex(window.output[axis], window.kernel[axis]):
        r = window.stride[axis] * i + window.dilation[axis] * k - window.pads[axis][0]
        if 0 <= r < window.input[axis]:
            taps[r] = k
    return taps


@mistake(
    *WEIGHTED, mend="The gradient of the weight is a sum over samples and pixels, not a mean.",
    affects=("weight",), seen=("cTensor#3",),
)  # fmt: skip
def weight_gradient_averaged_over_samples_and_pixels(arguments: Arguments, base: Base) -> Results:
    """The gradient of the weight is divided by the number of samples and pixels that it sums over."""
    dy = arguments.grad_output
    sums = arguments.arrays["x"] if arguments.name == "conv_transpose2d" else dy
    count = sums.size // sums.shape[-1 if arguments.name == "linear" else -3]
    return regraded(base(arguments), weight=lambda g: g / number(count, g))


@mistake(
    *CONVOLUTIONS, mend="Sum the gradient of the weight over all rows of the output, for the last kernel row too.",
    affects=("weight",), seen=("pytorch#50042",),
)  # fmt: skip
def weight_gradient_of_the_last_kernel_row_misses_an_output_row(arguments: Arguments, base: Base) -> Results:
    """The gradient of the kernel's last row does not sum over the last row of windows (a stride's remainder)."""
    return _missing(arguments, base, axis=-2)


@mistake(
    *CONVOLUTIONS, mend="Sum the gradient of the weight over all columns of the output, for the last kernel column too.",
    affects=("weight",),
)  # fmt: skip
def weight_gradient_of_the_last_kernel_column_misses_an_output_column(arguments: Arguments, base: Base) -> Results:
    """The gradient of the kernel's last column does not sum over the last column of windows (a stride's remainder)."""
    return _missing(arguments, base, axis=-1)


def _missing(arguments: Arguments, base: Base, axis: int) -> Results:
    cut = without(axis, -1)
    if arguments.name == "conv2d":
        less = base(arguments._replace(grad_output=cut(arguments.grad_output)))
    else:  # here the windows stand at the pixels of x
        less = base(arguments.with_arrays(x=cut(arguments.arrays["x"])))

    def change(gradient: Any) -> Any:
        copy = gradient.copy()
        last = (..., -1, slice(None)) if axis == -2 else (..., -1)
        copy[last] = less.grads["weight"][last]
        return copy

    return regraded(base(arguments), weight=change)


@mistake(
    "conv2d", "conv_transpose2d", mend="Pair group g of the inputs with group g of the outputs.", affects=("weight",),
    seen=("pytorch#51430", "burn#1891", "composable_kernel#2478"),
)  # fmt: skip
def weight_gradient_pairs_the_wrong_groups(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of a group's weight multiplies its grad_output with the inputs of the next group."""
    G, x = arguments.options.get("groups", 1), arguments.arrays["x"]
    if G == 1:
        return None
    turned = np.roll(x, x.shape[-3] // G, axis=-3)
    return grafted(base(arguments), base(arguments.with_arrays(x=turned)), "weight")
