"""Windows of convolutions and poolings in the wrong place: stride, dilation and padding."""

from __future__ import annotations

from typing import Any

from ... import ops
from ..mistake import Arguments, Base, Results, mistake
from .tools import regraded
from .window import CONVOLUTIONS, SLIDING, moved, window_of

DILATED = (*CONVOLUTIONS, "max_pool2d")


@mistake(*SLIDING, mend="Start window i at stride*i - padding, in the backward pass too.", seen=("coursera#34",))
def stride_ignored(arguments: Arguments, base: Base) -> Results | None:
    """The output has the size that the stride asks for, but neighbouring windows start one pixel apart."""
    return moved(arguments, base, stride=(1, 1))


@mistake(*SLIDING, mend="stride is (h, w): the first number is for the rows.")
def stride_swapped(arguments: Arguments, base: Base) -> Results | None:
    """The vertical stride is used for the columns, and the horizontal one for the rows."""
    return moved(arguments, base, stride=window_of(arguments).stride[::-1])


@mistake(
    *DILATED, mend="Tap k of a window reads pixel stride*i + dilation*k - padding, in the backward pass too.",
    seen=("tensorflow#18454", "jax#567", "jax#563", "mxnet#11203", "pytorch#5112"),
)  # fmt: skip
def dilation_ignored(arguments: Arguments, base: Base) -> Results | None:
    """The output has the size that the dilation asks for, but the taps of a window lie side by side."""
    return moved(arguments, base, dilation=(1, 1))


@mistake(*DILATED, mend="dilation is (h, w): the first number is for the rows.")
def dilation_swapped(arguments: Arguments, base: Base) -> Results | None:
    """The vertical dilation is used for the columns, and the horizontal one for the rows."""
    return moved(arguments, base, dilation=window_of(arguments).dilation[::-1])


@mistake(
    *DILATED, mend="The stride multiplies the output's index, the dilation the tap's.",
    seen=("jax#563", "mxnet#11203"),
)  # fmt: skip
def stride_and_dilation_exchanged(arguments: Arguments, base: Base) -> Results | None:
    """Windows start a dilation apart, and their taps lie a stride apart: the two numbers change places."""
    window = window_of(arguments)
    return moved(arguments, base, stride=window.dilation, dilation=window.stride)


def _sides(arguments: Arguments, base: Base, change: Any) -> Results | None:
    top_bottom, left_right = window_of(arguments).pads
    return moved(arguments, base, pads=change(top_bottom, left_right))


@mistake(
    *SLIDING, mend="Subtract the padding from the pixel's index: stride*i + dilation*k - padding.",
    seen=("onnxruntime#4086", "onnxruntime#11927"),
)  # fmt: skip
def padding_ignored(arguments: Arguments, base: Base) -> Results | None:
    """The output has the size that the padding asks for, but window 0 starts at pixel 0: all padding lies behind."""
    return _sides(arguments, base, lambda rows, columns: ((0, sum(rows)), (0, sum(columns))))


@mistake(*SLIDING, mend="Of the total padding only the first part lies above and to the left.")
def padding_in_front(arguments: Arguments, base: Base) -> Results | None:
    """All the padding of an axis lies above or to the left, none below or to the right."""
    return _sides(arguments, base, lambda rows, columns: ((sum(rows), 0), (sum(columns), 0)))


@mistake(
    *SLIDING, mend="padding is ((top, bottom), (left, right)); SAME_UPPER puts an odd row at the end.",
    seen=("onnxruntime#9370",),
)  # fmt: skip
def padding_sides_swapped(arguments: Arguments, base: Base) -> Results | None:
    """The padding for below lies above, and that for the right lies left; SAME_LOWER taken for SAME_UPPER."""
    return _sides(arguments, base, lambda rows, columns: (rows[::-1], columns[::-1]))


@mistake(*SLIDING, mend="padding is (h, w): the first number is for above and below.")
def padding_axes_swapped(arguments: Arguments, base: Base) -> Results | None:
    """The padding of the rows is used for the columns, and that of the columns for the rows."""
    return _sides(arguments, base, lambda rows, columns: (columns, rows))


def _replaced_border(arguments: Arguments, base: Base, mode: str) -> Results | None:
    """A convolution of the image in a border of its own pixels, which its gradient comes back through."""
    window = window_of(arguments)
    if window.pads == ((0, 0), (0, 0)) or (
        mode == "reflect" and any(max(pads) >= size for pads, size in zip(window.pads, window.input, strict=True))
    ):
        return None
    x = arguments.arrays["x"]
    wide = arguments.with_arrays(x=ops.pad2d(x, padding=window.pads, mode=mode)).with_options(padding=0)
    return regraded(base(wide), x=lambda dx: ops.pad2d_backward(dx, x, padding=window.pads, mode=mode).x)


@mistake("conv2d", mend="Pad with zeros.")
def padding_repeats_the_border(arguments: Arguments, base: Base) -> Results | None:
    """The image is padded with its border pixels (replicate) instead of zeros."""
    return _replaced_border(arguments, base, "replicate")


@mistake("conv2d", mend="Pad with zeros.")
def padding_mirrors_the_image(arguments: Arguments, base: Base) -> Results | None:
    """The image is padded with its mirror image (reflect) instead of zeros."""
    return _replaced_border(arguments, base, "reflect")


@mistake("max_pool2d", "avg_pool2d", mend="kernel_size is (h, w): the first number counts rows.")
def window_transposed(arguments: Arguments, base: Base) -> Results | None:
    """Windows are as wide as they should be high, and as high as they should be wide."""
    return moved(arguments, base, kernel=window_of(arguments).kernel[::-1])
