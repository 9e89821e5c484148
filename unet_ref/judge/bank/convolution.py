"""The weight of a convolution, of a transposed one or of a linear layer, read in the wrong order or not to the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..mistake import Arguments, Base, Results, mistake
from .tools import grafted, reread, without
from .window import CONVOLUTIONS

WEIGHTED = (*CONVOLUTIONS, "linear")


def _flat(weight: Any) -> bool:
    """Whether a kernel has one tap."""
    return bool(math.prod(weight.shape[2:]) == 1)


@mistake(
    *CONVOLUTIONS, mend="Do not reverse the kernel: y[i] sums weight[k] * x[i + k].", seen=("mlx#1826", "mlx#1449")
)  # fmt: skip
def kernel_flipped(arguments: Arguments, base: Base) -> Results | None:
    """The kernel is turned by 180 degrees, as convolution is defined elsewhere; deep learning correlates."""
    if _flat(arguments.arrays["weight"]):
        return None
    return reread(arguments, base, "weight", _turned, _turned)


def _turned(weight: Any) -> Any:
    return weight[..., ::-1, ::-1]


@mistake(*CONVOLUTIONS, mend="weight[o, c, k, l]: k counts rows, l columns, and l is the fastest in memory.")
def kernel_transposed(arguments: Arguments, base: Base) -> Results | None:
    """The kernel is read column by column: a square one is transposed, any other scrambled."""
    *lead, KH, KW = arguments.arrays["weight"].shape
    return None if min(KH, KW) == 1 else _weight_as(arguments, base, (*lead, KW, KH), (0, 1, 3, 2))


def _weight_as(arguments: Arguments, base: Base, shape: tuple[int, ...], axes: tuple[int, ...]) -> Results | None:
    """The weight's memory read as if it had this shape, and then these axes; ``None`` where that changes nothing."""
    own = arguments.arrays["weight"].shape
    sizes = [shape[axis] for axis in axes if shape[axis] > 1]
    if sizes == [size for size in shape if size > 1] and list(axes) != sorted(axes):
        kept = [axis for axis in axes if shape[axis] > 1]
        if kept == sorted(kept):
            return None
    return reread(
        arguments, base, "weight",
        lambda w: w.reshape(shape).transpose(axes), lambda g: g.transpose(np.argsort(axes)).reshape(own),
    )  # fmt: skip


@mistake(
    *WEIGHTED, mend="conv2d stores (O, C/G, KH, KW), conv_transpose2d (C, O/G, KH, KW), linear (out, in).",
    seen=("mlx#2495", "jax#384"),
)  # fmt: skip
def weight_read_with_inputs_and_outputs_exchanged(arguments: Arguments, base: Base) -> Results | None:
    """The first two axes of the weight change places: read as (in, out) where (out, in) is stored, or the reverse."""
    O, I, *kernel = arguments.arrays["weight"].shape
    return _weight_as(arguments, base, (I, O, *kernel), (1, 0, 2, 3)[: 2 + len(kernel)])


@mistake(*CONVOLUTIONS, mend="Bring the axes of a TensorFlow or Flax weight into order: weight.transpose(3, 2, 0, 1).")
def weight_read_as_kernel_first(arguments: Arguments, base: Base) -> Results | None:
    """The weight is read as if its channels came last, (KH, KW, I, O), as TensorFlow and Flax store it."""
    O, I, KH, KW = arguments.arrays["weight"].shape
    return _weight_as(arguments, base, (KH, KW, I, O), (3, 2, 0, 1))


@mistake(*CONVOLUTIONS, mend="Bring the axes of a channels-last weight into order: weight.transpose(0, 3, 1, 2).")
def weight_read_as_channels_last(arguments: Arguments, base: Base) -> Results | None:
    """The weight is read as (O, KH, KW, I), as channels-last kernels store it."""
    O, I, KH, KW = arguments.arrays["weight"].shape
    return _weight_as(arguments, base, (O, KH, KW, I), (0, 3, 1, 2))


@mistake(*WEIGHTED, mend="Let the loop over the input channels run to the last one.")
def last_input_channel_left_out(arguments: Arguments, base: Base) -> Results | None:
    """The sum over the input channels stops one short."""
    return _channels_left_out(arguments, base, lambda I: I - 1)


@mistake(
    *WEIGHTED, mend="After the blocks of four, sum what is left over.",
    seen=("composable_kernel#2478", "pytorch#50042"),
)  # fmt: skip
def channels_after_the_last_four_left_out(arguments: Arguments, base: Base) -> Results | None:
    """Input channels are summed four at a time, and what is left over is forgotten."""
    return _channels_left_out(arguments, base, lambda I: I - I % 4)


def _channels_left_out(arguments: Arguments, base: Base, kept: Callable[[int], int]) -> Results | None:
    axis = 0 if arguments.name == "conv_transpose2d" else 1
    groups = arguments.options.get("groups", 1) if axis == 0 else 1
    weight = arguments.arrays["weight"]
    I = weight.shape[axis] // groups
    if kept(I) in (0, I):
        return None

    def cut(w: Any) -> Any:
        grouped = w.reshape(groups, *((I, *w.shape[1:]) if axis == 0 else w.shape))
        return without(1 + axis, slice(kept(I), None))(grouped).reshape(w.shape)

    return reread(arguments, base, "weight", cut, cut)


@mistake(*CONVOLUTIONS, mend="The gradient of x correlates grad_output with the flipped kernel.", affects=("x",))
def kernel_not_flipped_in_the_backward(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of x uses the kernel as it stands, where it has to be turned by 180 degrees, or the reverse."""
    if _flat(arguments.arrays["weight"]):
        return None
    return grafted(base(arguments), base(arguments.with_arrays(weight=_turned(arguments.arrays["weight"]))), "x")
