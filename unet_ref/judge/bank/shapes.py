"""Options left out or misread so that the output has another shape: nobody asks such a forward pass for gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ..mistake import Arguments, Base, Results, mistake
from .tools import pair
from .window import CONVOLUTIONS, SLIDING, bordered, window_of

DILATED = (*CONVOLUTIONS, "max_pool2d")
POOLS = ("max_pool2d", "avg_pool2d")
RESIZED = ("upsample_nearest2d", "upsample_bilinear2d")
OUTPUT = ("output",)


def reshaped(arguments: Arguments, base: Base, **options: Any) -> Results | None:
    """The output of other options; ``None`` where it has the right shape all the same, or there is none."""
    name, changed = arguments.name, arguments.with_options(**options)
    shapes = [_shape(array) for array in arguments.arrays.values()]
    law = getattr(ops, f"{name}_shape")
    try:
        if law(*shapes, **changed.options) == law(*shapes, **arguments.options):
            return None
    except ValueError:
        return None
    return base(changed._replace(grad_output=None))


def _shape(array: Any) -> Any:
    return [_shape(item) for item in array] if isinstance(array, tuple | list) else getattr(array, "shape", None)


@mistake(
    *DILATED, affects=OUTPUT, mend="A dilated kernel spans dilation*(k - 1) + 1 pixels: so does the shape law say.",
    seen=("tensorflow#18454", "onnxruntime#2518", "pytorch#14272", "pytorch#43793"),
)  # fmt: skip
def dilation_left_out(arguments: Arguments, base: Base) -> Results | None:
    """The dilation is ignored, in the output's size as well."""
    return reshaped(arguments, base, dilation=1)


@mistake(*CONVOLUTIONS, affects=OUTPUT, mend="Pass the stride on.")
def stride_left_out(arguments: Arguments, base: Base) -> Results | None:
    """The stride is ignored, in the output's size as well."""
    return reshaped(arguments, base, stride=1)


@mistake(*POOLS, affects=OUTPUT, mend="Without a stride, windows lie side by side: the stride is the kernel's size.")
def stride_of_one_by_default(arguments: Arguments, base: Base) -> Results | None:
    """A stride that is not given is taken to be 1."""
    return None if arguments.options.get("stride") is not None else reshaped(arguments, base, stride=1)


@mistake(*SLIDING, affects=OUTPUT, mend="Pass the padding on.", seen=("onnxruntime#4698",))
def padding_left_out(arguments: Arguments, base: Base) -> Results | None:
    """The padding is ignored, in the output's size as well."""
    return reshaped(arguments, base, padding=0)


@mistake(*SLIDING, affects=OUTPUT, mend="An axis is padded at both ends: add both to its size.")
def padding_on_one_side(arguments: Arguments, base: Base) -> Results | None:
    """The image is padded above and to the left only, and the output's size counts that alone."""
    (top, _), (left, _) = window_of(arguments).pads
    return reshaped(arguments, base, padding=((top, 0), (left, 0)))


@mistake("conv_transpose2d", affects=OUTPUT, mend="Pass the output padding on.", seen=("pytorch/xla#2333",))
def output_padding_left_out(arguments: Arguments, base: Base) -> Results | None:
    """The output padding is ignored, in the output's size as well."""
    return reshaped(arguments, base, output_padding=0)


@mistake("conv_transpose2d", affects=OUTPUT, mend="output_padding is (h, w): the first number is for the rows.")
def output_padding_swapped(arguments: Arguments, base: Base) -> Results | None:
    """The output padding of the rows is used for the columns, and that of the columns for the rows."""
    return reshaped(arguments, base, output_padding=pair(arguments.options.get("output_padding", 0))[::-1])


@mistake(*POOLS, affects=OUTPUT, mend="With ceil_mode, round the number of windows up.")
def ceil_mode_ignored(arguments: Arguments, base: Base) -> Results | None:
    """The number of windows is rounded down in spite of ceil mode."""
    return reshaped(arguments, base, ceil_mode=False) if arguments.options.get("ceil_mode") else None


@mistake(*POOLS, affects=OUTPUT, mend="Without ceil_mode, round the number of windows down.")
def ceil_mode_always(arguments: Arguments, base: Base) -> Results | None:
    """The number of windows is rounded up without ceil mode."""
    return None if arguments.options.get("ceil_mode") else reshaped(arguments, base, ceil_mode=True)


@mistake(
    *POOLS, affects=OUTPUT, mend="In ceil mode drop the last window if it starts behind the image and its front padding.",
    seen=("pytorch#45357",),
)  # fmt: skip
def ceil_mode_window_outside_the_image(arguments: Arguments, base: Base) -> Results | None:
    """Ceil mode keeps a last window that starts behind the image: a maximum of nothing, or 0 divided by 0."""
    window = window_of(arguments)
    more = [
        (size + sum(pads) - d * (kernel - 1) - 1 + stride - 1) // stride + 1 - windows
        for size, pads, d, kernel, stride, windows in zip(
            window.input, window.pads, window.dilation, window.kernel, window.stride, window.output, strict=True
        )
    ]
    if not arguments.options.get("ceil_mode") or more == [0, 0]:
        return None
    nothing = -np.inf if arguments.name == "max_pool2d" else np.nan
    results = base(arguments._replace(grad_output=None))
    return results._replace(output=bordered(results.output, [(0, more[0]), (0, more[1])], nothing))


@mistake(
    "adaptive_avg_pool2d", "center_crop2d", *RESIZED, affects=OUTPUT, mend="Sizes and factors are (h, w), height first."
)  # fmt: skip
def width_and_height_of_the_output_exchanged(arguments: Arguments, base: Base) -> Results | None:
    """The size or factor for the rows is used for the columns, and that for the columns for the rows."""
    for option in ("output_size", "size", "scale_factor"):
        if arguments.options.get(option) is not None:
            changed = {option: pair(arguments.options[option])[::-1]}
    return reshaped(arguments, base, **changed)


def _scaled(arguments: Arguments, base: Base, rounded: Any) -> Results | None:
    factor = arguments.options.get("scale_factor")
    if factor is None:
        return None
    size = tuple(max(1, rounded(n * s)) for n, s in zip(arguments.arrays["x"].shape[-2:], pair(factor), strict=True))
    return reshaped(arguments, base, size=size, scale_factor=None)


@mistake(*RESIZED, affects=OUTPUT, mend="The output's size is floor(size * scale_factor).")
def scaled_size_rounded(arguments: Arguments, base: Base) -> Results | None:
    """The output's size is the nearest whole number to size * scale_factor, not the one below."""
    return _scaled(arguments, base, lambda size: math.floor(size + 0.5))


@mistake(*RESIZED, affects=OUTPUT, mend="The output's size is floor(size * scale_factor).")
def scaled_size_rounded_up(arguments: Arguments, base: Base) -> Results | None:
    """The output's size is the whole number above size * scale_factor, not the one below."""
    return _scaled(arguments, base, math.ceil)


@mistake(
    "pad2d", affects=OUTPUT, mend="padding is ((top, bottom), (left, right)); PyTorch's pad wants the width first."
)
def padding_of_the_width_first(arguments: Arguments, base: Base) -> Results | None:
    """The padding of the rows is used for the columns, and that of the columns for the rows, as in PyTorch's order."""
    return reshaped(arguments, base, padding=pair(arguments.options["padding"])[::-1])


@mistake("concat", "glu", affects=OUTPUT, mend="Count a negative axis from the back: axis + ndim.",
         seen=("tfjs-core#1267", "swift-apis#23649", "pytorch#1213"))  # fmt: skip
def axis_off_by_one(arguments: Arguments, base: Base) -> Results | None:
    """A negative axis is counted from the wrong end (one too far to the front), a positive one from 1 on."""
    axis = arguments.options.get("axis", 1 if arguments.name == "concat" else -1)
    return reshaped(arguments, base, axis=axis - 1)
