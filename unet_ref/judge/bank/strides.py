"""Memory misread, in any operation: strides that nobody looks at, and images taken for channels-last ones."""

from __future__ import annotations

from ..mistake import Arguments, Base, Results, mistake
from .memory import channels_first, channels_last, misread
from .scope import ALL, DIFFERENTIABLE, LOSSES
from .tools import first_array, reread


def _reread(arguments: Arguments, base: Base, name: str) -> Results | None:
    array = arguments.arrays[name]
    found = [(item, misread(item)) for item in (array if isinstance(array, tuple) else (array,))]
    if all(wrong is None for _, wrong in found):
        return None
    read = tuple(item if wrong is None else wrong for item, wrong in found)
    return base(arguments.with_arrays(**{name: read if isinstance(array, tuple) else read[0]}))


@mistake(
    *ALL, mend="Go by the strides of x, or make a contiguous copy first.", seen=("pytorch#175189", "pytorch#140913")
)
def input_read_as_contiguous(arguments: Arguments, base: Base) -> Results | None:
    """x is read in memory's order although its strides say otherwise (channels-last, a slice, a transpose)."""
    return _reread(arguments, base, next(iter(arguments.arrays)))


@mistake(
    "conv2d", "conv_transpose2d", "linear", mend="Go by the strides of the weight, or make a contiguous copy first."
)
def weight_read_as_contiguous(arguments: Arguments, base: Base) -> Results | None:
    """The weight is read in memory's order although its strides say otherwise (channels-last, a transpose)."""
    return _reread(arguments, base, "weight")


@mistake(
    *(name for name in DIFFERENTIABLE if name not in LOSSES), mend="Go by the strides of grad_output, or make a contiguous copy first.", affects=("grads",),
    seen=("cunn#68", "cunn#199", "mlx#4444"),
)  # fmt: skip
def grad_output_read_as_contiguous(arguments: Arguments, base: Base) -> Results | None:
    """grad_output is read in memory's order although its strides say otherwise."""
    wrong = misread(arguments.grad_output)
    return None if wrong is None else base(arguments)._replace(grads=base(arguments._replace(grad_output=wrong)).grads)


@mistake(
    *(name for name in ALL if name != "concat"),
    mend="Images are (N, C, H, W) here: move the axes of one that is (N, H, W, C).",
)
def input_read_as_channels_last(arguments: Arguments, base: Base) -> Results | None:
    """x is read as (N, H, W, C), as TensorFlow stores it, though it is (N, C, H, W)."""
    x = first_array(arguments)
    if x.ndim not in (3, 4) or x.size == 0:
        return None
    return reread(arguments, base, "x", channels_first, channels_last)
