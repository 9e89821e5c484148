"""Bias and groups of convolutions: left out, summed wrongly, mixed up."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mistake import Arguments, Base, Results, mistake
from .convolution import WEIGHTED
from .tools import number, pair, regraded, reread, times, zero
from .window import CONVOLUTIONS, window_of


def _biased(arguments: Arguments) -> bool:
    return arguments.arrays.get("bias") is not None


@mistake(*WEIGHTED, mend="Add bias[o] to every output of channel o.")
def bias_missing(arguments: Arguments, base: Base) -> Results | None:
    """The bias is not added."""
    return reread(arguments, base, "bias", zero, zero) if _biased(arguments) else None


@mistake(*WEIGHTED, mend="Add the bias once: either start the sums from it or add it at the end.")
def bias_added_twice(arguments: Arguments, base: Base) -> Results | None:
    """The sums start from the bias, and it is added at the end as well."""
    return reread(arguments, base, "bias", times(2), times(2)) if _biased(arguments) else None


@mistake(*WEIGHTED, mend="The gradient of the bias is a sum of grad_output over samples and pixels, not a mean.",
         affects=("bias",))  # fmt: skip
def bias_gradient_averaged(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of the bias is the mean of grad_output over samples and pixels instead of the sum."""
    count = arguments.grad_output.size // max(1, _outputs(arguments))
    return None if count < 2 else regraded(base(arguments), bias=lambda g: g / number(count, g))


@mistake(*WEIGHTED, mend="Sum grad_output over all axes but the channels' own.", affects=("bias",))
def bias_gradient_summed_over_the_wrong_axes(arguments: Arguments, base: Base) -> Results | None:
    """The gradient of the bias sums grad_output as if the channels were its last axis (of a linear layer, its first)."""
    dy, O = arguments.grad_output, _outputs(arguments)
    if not _biased(arguments) or dy.size in (0, O):
        return None
    wrong = dy.reshape(O, -1).sum(axis=1) if arguments.name == "linear" else dy.reshape(-1, O).sum(axis=0)
    return regraded(base(arguments), bias=lambda _: wrong)


def _outputs(arguments: Arguments) -> int:
    """How many output channels there are."""
    axis = -1 if arguments.name == "linear" else -3
    return int(arguments.grad_output.shape[axis])


def _groups(arguments: Arguments) -> int:
    return int(arguments.options.get("groups", 1))


@mistake(
    *CONVOLUTIONS, mend="Group g of the outputs reads the input channels from g*C/G on.",
    seen=("mlx#3800", "pytorch#51430"),
)  # fmt: skip
def every_group_reads_the_first(arguments: Arguments, base: Base) -> Results | None:
    """The offset of the group is missing from the input channel: all groups read the channels of the first."""
    G = _groups(arguments)
    if G == 1:
        return None

    def first(x: Any) -> Any:
        size = x.shape[-3] // G
        return np.concatenate([x[..., :size, :, :]] * G, axis=-3)

    def gathered(dx: Any) -> Any:
        size, total = dx.shape[-3] // G, zero(dx)
        for g in range(G):
            total[..., :size, :, :] += dx[..., g * size : (g + 1) * size, :, :]
        return total

    return reread(arguments, base, "x", first, gathered)


def _interleaved(channels: int, groups: int) -> Any:
    """Where ``c % G`` is taken for ``c // (C/G)``: position by position, the channel that is read there."""
    return np.arange(channels).reshape(-1, groups).T.reshape(-1)


@mistake(*CONVOLUTIONS, mend="A group is a run of neighbouring channels: channel c is in group c // (C/G).",
         seen=("burn#1891",))  # fmt: skip
def groups_of_inputs_interleaved(arguments: Arguments, base: Base) -> Results | None:
    """Input channel c is taken to be in group c % G."""
    G, C = _groups(arguments), arguments.arrays["x"].shape[-3]
    if G in (1, C):
        return None
    order = _interleaved(C, G)
    return reread(
        arguments, base, "x", lambda x: x[..., order, :, :], lambda g: g[..., np.argsort(order), :, :]
    )  # fmt: skip


@mistake(*CONVOLUTIONS, mend="A group is a run of neighbouring channels: output o is in group o // (O/G).")
def groups_of_outputs_interleaved(arguments: Arguments, base: Base) -> Results | None:
    """Group by group the outputs are written to the channels g, g + G, ...: output o is taken to be in group o % G."""
    G = _groups(arguments)
    transposed = arguments.name == "conv_transpose2d"
    O = arguments.arrays["weight"].shape[1] * G if transposed else arguments.arrays["weight"].shape[0]
    if G in (1, O):
        return None
    order = _interleaved(O, G)
    back = np.argsort(order)
    bias, dy = arguments.arrays.get("bias"), arguments.grad_output
    arguments = arguments._replace(grad_output=None if dy is None else dy[..., order, :, :])
    if bias is not None:  # it is added to the channel where the output is written
        arguments = arguments.with_arrays(bias=bias[order])
    results = regraded(base(arguments), bias=lambda g: g[back])
    return results._replace(output=results.output[..., back, :, :])


@mistake(
    "conv_transpose2d", mend="The order of the arguments is output_padding, groups, dilation: pass them by name.",
    affects=("output",), seen=("bayesian-torch#34",),
)  # fmt: skip
def groups_and_dilation_exchanged(arguments: Arguments, base: Base) -> Results | None:
    """The number of groups is passed as the dilation, and the dilation as the number of groups."""
    window, G = window_of(arguments), _groups(arguments)
    d, other = window.dilation
    C, bias = arguments.arrays["x"].shape[-3], arguments.arrays.get("bias")
    if d != other or d == G or C % d or bias is not None:
        return None
    more = pair(arguments.options.get("output_padding", 0))
    if any(extra >= max(G, stride) for extra, stride in zip(more, window.stride, strict=True)):
        return None
    swapped = arguments.with_options(groups=d, dilation=G)._replace(grad_output=None)
    return base(swapped)._replace(grads={})
