"""Windows that lie elsewhere than they should: the index formula of convolutions and poolings, changed.

A kernel with a wrong index formula still fills an output of the right size, so that is what is computed here: windows
laid by the wrong formula, at as many positions as the right one has. Where one reaches past the image it reads zeros
(a max pooling minus infinity).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...ops.pooling import pool_window
from ...ops.window import Pads, Pair, Window, pads, pair
from ..mistake import Arguments, Base, Results
from .tools import regraded

CONVOLUTIONS = ("conv2d", "conv_transpose2d")
SLIDING = (*CONVOLUTIONS, "max_pool2d", "avg_pool2d")


def window_of(arguments: Arguments) -> Window:
    """The window of the right operation; of a transposed convolution that of the convolution it is the adjoint of."""
    name, arrays, options, _ = arguments
    x = arrays["x"].shape
    if name not in CONVOLUTIONS:
        geometry = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False} | options
        return pool_window(
            name, x, options["kernel_size"], geometry["stride"], geometry["padding"], geometry["dilation"],
            geometry["ceil_mode"],
        )  # fmt: skip
    weight = arrays["weight"].shape
    stride, dilation = (pair(name, option, options.get(option, 1)) for option in ("stride", "dilation"))
    sides = _pads(options.get("padding", 0), weight[2:], dilation)
    y = getattr(ops, f"{name}_shape")(x, weight, **options)
    image, positions = (x, y) if name == "conv2d" else (y, x)
    return Window(image[-2:], positions[-2:], weight[2:], stride, dilation, sides)


def _pads(padding: Any, kernel: Sequence[int], dilation: Pair) -> Pads:
    if not isinstance(padding, str):
        return pads("padding", padding)
    total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
    return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)


def moved(arguments: Arguments, base: Base, **changed: Any) -> Results | None:
    """The operation with its windows laid by another stride, dilation or padding; ``None`` where that is the same."""
    window = window_of(arguments)
    wrong = window._replace(**changed)
    return None if wrong == window else LAID[arguments.name](arguments, base, wrong)


def _convolution(arguments: Arguments, base: Base, wrong: Window) -> Results:
    """At least as many positions as there should be; those that are too many are cut off."""
    sides = [(before, max(0, reach - before - size)) for reach, (before, _), size in _axes(wrong)]
    arguments = arguments.with_options(stride=wrong.stride, dilation=wrong.dilation, padding=tuple(sides))
    return positions(arguments, base, ops.conv2d_shape, wrong.output)


def _transposed(arguments: Arguments, base: Base, wrong: Window) -> Results:
    """Rows of zeros below the input, until the output is large enough; then that is cut to its size."""
    more, sides = [], []
    for (reach, (before, _), size), stride in zip(_axes(wrong), wrong.stride, strict=True):
        more.append(max(0, -(-(size + before - reach) // stride)))
        sides.append((before, reach + stride * more[-1] - before - size))
    arguments = arguments.with_arrays(x=bordered(arguments.arrays["x"], [(0, more[0]), (0, more[1])], 0))
    geometry = {"stride": wrong.stride, "dilation": wrong.dilation, "padding": tuple(sides), "output_padding": 0}
    H, W = wrong.output
    return regraded(base(arguments.with_options(**geometry)), x=lambda dx: dx[..., :H, :W])


def _max_pool(arguments: Arguments, base: Base, wrong: Window) -> Results:
    return _pool(arguments, base, wrong, fill=-np.inf, dilation=wrong.dilation)


def _avg_pool(arguments: Arguments, base: Base, wrong: Window) -> Results:
    """Sums over the windows, divided by what the wrong windows count."""
    override = arguments.options.get("divisor_override")
    divisor = override or counts(wrong, include_pad=arguments.options.get("count_include_pad", True))
    return shared(arguments, lambda a: _pool(a, base, wrong, fill=0, divisor_override=1), divisor)


def _pool(arguments: Arguments, base: Base, wrong: Window, fill: float, **options: Any) -> Results:
    sides = [(before, max(0, reach - before - size)) for reach, (before, _), size in _axes(wrong)]
    (top, _), (left, _) = sides
    H, W = wrong.input
    options |= {"kernel_size": wrong.kernel, "stride": wrong.stride, "padding": 0, "ceil_mode": False}
    arguments = arguments.with_arrays(x=bordered(arguments.arrays["x"], sides, fill)).with_options(**options)
    results = positions(arguments, base, getattr(ops, f"{arguments.name}_shape"), wrong.output)
    return regraded(results, x=lambda dx: dx[..., top : top + H, left : left + W])


LAID = {
    "conv2d": _convolution, "conv_transpose2d": _transposed, "max_pool2d": _max_pool, "avg_pool2d": _avg_pool
}  # fmt: skip


def _axes(window: Window) -> list[tuple[int, Pair, int]]:
    """For each axis: how far the last window reaches in the padded image, the pads, and the image's size."""
    reach = [
        s * (n - 1) + d * (k - 1) + 1
        for s, n, d, k in zip(window.stride, window.output, window.dilation, window.kernel, strict=True)
    ]
    return list(zip(reach, window.pads, window.input, strict=True))


def positions(arguments: Arguments, base: Base, shape: Any, size: Sequence[int]) -> Results:
    """An operation with more outputs than wanted: the first ``size`` of them, and no gradient from the others."""
    shapes = [None if array is None else array.shape for array in arguments.arrays.values()]
    full = shape(*shapes, **arguments.options)
    H, W = size
    dy = arguments.grad_output
    if dy is not None:
        dy = bordered(dy, [(0, full[-2] - H), (0, full[-1] - W)], 0)
    results = base(arguments._replace(grad_output=dy))
    return results._replace(output=results.output[..., :H, :W])


def shared(arguments: Arguments, sums: Base, divisor: Any) -> Results:
    """An average from sums over windows: divided by ``divisor (H', W')``, as is the gradient before it is spread."""
    dy = arguments.grad_output
    results = sums(arguments if dy is None else arguments._replace(grad_output=over(dy, divisor)))
    return results._replace(output=over(results.output, divisor))


def over(array: Any, divisor: Any) -> Any:
    """``array / divisor``, in the array's dtype, for exact scalars exactly."""
    return np.asarray(array / np.asarray(divisor).astype(array.dtype), dtype=array.dtype)


def counts(window: Window, *, include_pad: bool) -> Any:
    """How many pixels each window of an average pooling holds: ``(H', W')``; at least one, to divide by."""
    return np.multiply.outer(*(np.asarray(count_axis(window, axis, include_pad=include_pad)) for axis in (0, 1)))


def count_axis(window: Window, axis: int, *, include_pad: bool) -> list[int]:
    """The same along one axis; what hangs over the padding never counts."""
    size, kernel, stride, (before, after) = (
        window.input[axis], window.kernel[axis], window.stride[axis], window.pads[axis],
    )  # fmt: skip
    lowest, highest = (-before, size + after) if include_pad else (0, size)
    starts = [stride * i - before for i in range(window.output[axis])]
    return [max(1, min(start + kernel, highest) - max(start, lowest)) for start in starts]


def bordered(x: Any, sides: Sequence[Pair], fill: float) -> Any:
    """An image, or several, within a border of one value."""
    (top, bottom), (left, right) = sides
    H, W = x.shape[-2:]
    y = np.full((*x.shape[:-2], top + H + bottom, left + W + right), fill, dtype=x.dtype)
    y[..., top : top + H, left : left + W] = x
    return y
