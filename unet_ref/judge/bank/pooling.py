"""Mistakes of max pooling: which pixel is chosen, and what it is given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...arithmetic import divide, real
from ...ops.window import Window
from ..mistake import Arguments, Base, Results, mistake
from .tools import batched, grafted, regraded, zero
from .window import bordered, window_of

MAX = "max_pool2d"


def windows(x: Any, window: Window, fill: float) -> Any:
    """What every window shows, tap by tap: ``(KH*KW, ..., H', W')``; ``fill`` outside the image."""
    (top, _), (left, _) = window.pads
    (H, W), (height, width) = window.input, window.padded
    padded = bordered(x, [(top, height - top - H), (left, width - left - W)], fill)
    return np.stack([padded[..., rows, columns] for _, _, rows, columns in window.taps()])


def spread(shares: Any, window: Window) -> Any:
    """The adjoint: what every tap of every window gives back to its pixel, added up."""
    padded = np.zeros((*shares.shape[1:-2], *window.padded), dtype=shares.dtype)
    for share, (_, _, rows, columns) in zip(shares, window.taps(), strict=True):
        padded[..., rows, columns] += share
    return padded[(..., *window.inside())]


def chosen(arguments: Arguments) -> tuple[Any, Any, Any]:
    """For every window its largest value, which taps show that value, and which lie on the image."""
    window, x = window_of(arguments), real(arguments.arrays["x"])
    shown = windows(x, window, -np.inf)
    inside = windows(np.ones(x.shape), window, 0) > 0
    return shown.max(axis=0), (shown == shown.max(axis=0)) & inside, inside


@mistake(MAX, mend="Of equal pixels the first, row by row, gets the gradient: compare with >, not >=.", affects=("x",))
def last_of_ties_gets_the_gradient(arguments: Arguments, base: Base) -> Results:
    """Of several largest pixels in a window the last one gets the gradient."""
    x, dy = arguments.arrays["x"], arguments.grad_output
    wide = np.result_type(x.dtype, np.float32)  # float16 holds no more than 2048 ranks
    rank = np.empty(x.size, dtype=wide)
    rank[np.argsort(real(x).ravel(), kind="stable")] = np.arange(x.size)  # by value, then by position
    ranked = base(arguments.with_arrays(x=rank.reshape(x.shape))._replace(grad_output=dy.astype(wide)))
    return regraded(base(arguments), x=lambda _: ranked.grads["x"].astype(x.dtype))


@mistake(
    MAX, mend="Of equal pixels the first, row by row, gets the whole gradient.", affects=("x",),
    seen=("tinygrad#12296",),
)  # fmt: skip
def ties_share_the_gradient(arguments: Arguments, base: Base) -> Results:
    """Several largest pixels in a window share its gradient equally."""
    _, largest, _ = chosen(arguments)
    share = divide(arguments.grad_output, np.maximum(largest.sum(axis=0), 1))
    return regraded(base(arguments), x=lambda _: spread(_where(largest, share), window_of(arguments)))


@mistake(MAX, mend="Of equal pixels only the first, row by row, gets the gradient: keep its index.", affects=("x",))
def every_tie_gets_the_gradient(arguments: Arguments, base: Base) -> Results:
    """Every pixel that equals its window's largest gets the whole gradient, as with a mask x == y."""
    _, largest, _ = chosen(arguments)
    return regraded(base(arguments), x=lambda _: spread(_where(largest, arguments.grad_output), window_of(arguments)))


@mistake(MAX, mend="Only the largest pixel of a window gets its gradient.", affects=("x",))
def whole_window_gets_the_gradient(arguments: Arguments, base: Base) -> Results:
    """Every pixel of a window gets its gradient, as if the sum had been taken."""
    _, _, inside = chosen(arguments)
    return regraded(base(arguments), x=lambda _: spread(_where(inside, arguments.grad_output), window_of(arguments)))


def _where(mask: Any, values: Any) -> Any:
    return np.where(mask, values, zero(values))


def _clipped(arguments: Arguments, base: Base, floor: Any) -> Results | None:
    """A maximum that also compares with ``floor (H', W')``, which may win and then takes the gradient away."""
    y = base(arguments).output
    wins = real(y) < floor
    dy = arguments.grad_output
    lost = base(arguments if dy is None else arguments._replace(grad_output=_where(~wins, dy)))
    return lost._replace(output=np.where(wins, zero(y), y)) if wins.any() else None


@mistake(MAX, mend="Start the maximum from minus infinity, or from the window's first pixel.")
def maximum_starts_from_zero(arguments: Arguments, base: Base) -> Results | None:
    """The maximum starts from zero: windows of negative pixels give zero, and no gradient."""
    return _clipped(arguments, base, 0)


@mistake(MAX, mend="Padding takes part in no maximum: pad with minus infinity, or skip what lies outside.")
def padding_of_zeros_takes_part(arguments: Arguments, base: Base) -> Results | None:
    """The padding counts as zeros: windows of negative pixels at the border give zero, and no gradient."""
    window = window_of(arguments)
    marked = bordered(np.ones(window.input), window.pads, -1)  # the padding, but not what hangs over it in ceil mode
    over = [(0, whole - size) for whole, size in zip(window.padded, marked.shape, strict=True)]
    marked = bordered(marked, over, 0)
    touched = np.stack([marked[rows, columns] for _, _, rows, columns in window.taps()]).min(axis=0) < 0
    return _clipped(arguments, base, np.where(touched, 0, -np.inf))


@mistake(MAX, mend="A comparison with NaN is false: take a pixel unless it is <= the largest so far.",
         seen=("pytorch#1465",))  # fmt: skip
def nan_lost(arguments: Arguments, base: Base) -> Results | None:
    """NaN never wins a comparison, so that a window with one gives the largest of the others."""
    x = arguments.arrays["x"]
    nan = x != x  # noqa: PLR0124
    return base(arguments.with_arrays(x=np.where(nan, -np.inf, x).astype(x.dtype))) if nan.any() else None


@mistake(
    MAX,
    mend="The chosen pixel gets the gradient, be it NaN.",
    affects=("x",),
    seen=("tensorflow#118673", "pytorch#1465"),
)
def no_gradient_where_the_largest_is_nan(arguments: Arguments, base: Base) -> Results | None:
    """A window that holds NaN gives its gradient to no pixel: none equals the largest."""
    y = base(arguments).output
    return _no_gradient(arguments, base, y != y)  # noqa: PLR0124


@mistake(MAX, mend="Start from the window's first pixel: it may be minus infinity itself.", affects=("x",),
         seen=("pytorch#1465",))  # fmt: skip
def no_gradient_where_all_are_minus_infinity(arguments: Arguments, base: Base) -> Results | None:
    """A window of minus infinities gives its gradient to no pixel: none is above the start of the comparison."""
    return _no_gradient(arguments, base, base(arguments).output == -np.inf)


def _no_gradient(arguments: Arguments, base: Base, where: Any) -> Results | None:
    if not where.any():
        return None
    return grafted(base(arguments), base(arguments._replace(grad_output=_where(~where, arguments.grad_output))))


@mistake(
    MAX, mend="Keep the chosen pixel's index for every sample.", affects=("x",),
    seen=("tensorflow#22025", "tensorflow#33403", "tensorflow#24067"),
)  # fmt: skip
def choice_of_the_first_sample_for_all(arguments: Arguments, base: Base) -> Results | None:
    """The gradient goes to the pixels that were chosen in the first sample, in every sample."""
    x = arguments.arrays["x"]
    if not batched(arguments) or len(x) < 2:
        return None
    return grafted(base(arguments), base(arguments.with_arrays(x=np.broadcast_to(x[:1], x.shape).copy())), "x")


@mistake(MAX, mend="Add to the gradient: a pixel may be the largest of several windows.", affects=("x",))
def gradient_not_accumulated_over_windows(arguments: Arguments, base: Base) -> Results:
    """A pixel that several windows chose gets the gradient of the last of them only."""
    window, dy = window_of(arguments), arguments.grad_output
    flat = np.arange(math.prod(window.input), dtype="d").reshape(window.input)
    index = windows(flat, window, -1).reshape(len(list(window.taps())), -1).astype(int)  # (taps, H'*W')
    _, largest, _ = chosen(arguments)
    first = largest.argmax(axis=0).reshape(-1, index.shape[1])  # (planes, H'*W')
    dx = zero(arguments.arrays["x"]).reshape(len(first), -1)
    rows = dy.reshape(len(first), -1)
    for position in range(index.shape[1]):  # one window after another
        pixels = index[first[:, position], position]
        dx[np.arange(len(first)), pixels] = rows[:, position]
    return regraded(base(arguments), x=lambda g: dx.reshape(g.shape))
