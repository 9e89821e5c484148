"""Mistakes of transposed convolutions alone: the output padding."""

from __future__ import annotations

from ..mistake import Arguments, Base, Results, mistake
from .tools import pair, regraded
from .window import bordered, window_of


@mistake(
    "conv_transpose2d", mend="Make the output larger by the output padding first: kernel and bias reach into it.",
    seen=("tvm#5758", "tvm#19524", "pytorch/xla#2333"),
)  # fmt: skip
def output_padding_filled_with_zeros(arguments: Arguments, base: Base) -> Results | None:
    """The rows and columns of the output padding are appended as zeros, without what the kernel and the bias put there."""
    more = pair(arguments.options.get("output_padding", 0))
    H, W = window_of(arguments).input
    if more == (0, 0) or min(H - more[0], W - more[1]) < 1:
        return None
    dy = arguments.grad_output
    less = arguments.with_options(output_padding=0)
    results = base(less._replace(grad_output=None if dy is None else dy[..., : H - more[0], : W - more[1]]))
    return results._replace(output=bordered(results.output, [(0, more[0]), (0, more[1])], 0))


@mistake("conv_transpose2d", mend="Output padding adds rows below and columns to the right, not above and to the left.")
def output_padding_in_front(arguments: Arguments, base: Base) -> Results | None:
    """The rows and columns of the output padding are kept above and to the left instead of below and to the right."""
    more = pair(arguments.options.get("output_padding", 0))
    if more == (0, 0):
        return None
    window = window_of(arguments)
    pads, ahead = [], []
    for (before, after), extra, stride in zip(window.pads, more, window.stride, strict=True):
        rows = max(0, -((before - extra) // stride))  # of zeros in front of x, where there is nothing left to keep
        ahead.append((rows, 0))
        pads.append((before - extra + rows * stride, after))
    wide = arguments.with_arrays(x=bordered(arguments.arrays["x"], ahead, 0))
    wide = wide.with_options(padding=tuple(pads), output_padding=0)
    (top, _), (left, _) = ahead
    return regraded(base(wide), x=lambda dx: dx[..., top:, left:])
