"""Mistakes of average pooling, with windows of one size and adaptive ones: what is divided by what."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ...ops.taps import Taps
from ..mistake import Arguments, Base, Results, mistake
from .axes import mapped, mean_of, overwritten
from .tools import grafted, pair, regraded
from .window import count_axis, over, window_of

AVG, ADAPTIVE = "avg_pool2d", "adaptive_avg_pool2d"


def _overridden(arguments: Arguments) -> bool:
    return arguments.options.get("divisor_override") is not None


@mistake(AVG, mend="With count_include_pad=False divide by the pixels of the image alone.")
def padding_counted(arguments: Arguments, base: Base) -> Results | None:
    """The divisor counts the padding under a window though count_include_pad is off."""
    counted = arguments.options.get("count_include_pad", True)
    return None if counted or _overridden(arguments) else base(arguments.with_options(count_include_pad=True))


@mistake(AVG, mend="count_include_pad is on by default in PyTorch (in ONNX off): the divisor counts the padding.")
def padding_not_counted(arguments: Arguments, base: Base) -> Results | None:
    """The divisor counts the pixels of the image alone though count_include_pad is on."""
    counted = arguments.options.get("count_include_pad", True)
    return None if not counted or _overridden(arguments) else base(arguments.with_options(count_include_pad=False))


@mistake(
    AVG, mend="What hangs over the padding in ceil mode, and padding that does not count, leave the divisor smaller."
)
def divided_by_the_whole_window(arguments: Arguments, base: Base) -> Results | None:
    """The divisor is always the size of the kernel, also where a window hangs over the end of image or padding."""
    kh, kw = pair(arguments.options["kernel_size"])
    return None if _overridden(arguments) else base(arguments.with_options(divisor_override=kh * kw))


@mistake(AVG, mend="Divide by divisor_override where it is given.")
def divisor_override_ignored(arguments: Arguments, base: Base) -> Results | None:
    """The divisor is the size of the window though divisor_override is given."""
    return base(arguments.with_options(divisor_override=None)) if _overridden(arguments) else None


@mistake(AVG, mend="Divide the sum over a window by its number of pixels.")
def sum_in_place_of_the_mean(arguments: Arguments, base: Base) -> Results:
    """The sum over a window is not divided."""
    return base(arguments.with_options(divisor_override=1))


@mistake(AVG, mend="Divide grad_output by the same divisor before it is spread.", affects=("x",))
def gradient_not_divided(arguments: Arguments, base: Base) -> Results:
    """Every pixel of a window gets its whole gradient instead of a share."""
    return grafted(base(arguments), base(arguments.with_options(divisor_override=1)))


@mistake(AVG, mend="Add to the gradient: a pixel under several windows gets a share from each.", affects=("x",))
def gradient_of_overlapping_windows_not_accumulated(arguments: Arguments, base: Base) -> Results:
    """A pixel under several windows keeps only the share that the last of them gives."""
    window, dy = window_of(arguments), arguments.grad_output
    include = arguments.options.get("count_include_pad", True)
    rows, columns = (_windows(window, axis, count_axis(window, axis, include_pad=include)) for axis in (0, 1))
    if _overridden(arguments):
        dy = over(dy, arguments.options["divisor_override"])
        rows, columns = (_windows(window, axis, None) for axis in (0, 1))
    return regraded(base(arguments), x=lambda _: overwritten(dy, rows, columns, window.input))


def _windows(window: Any, axis: int, divisors: list[int] | None) -> Taps:
    """The taps of each window along one axis; whole, where there are no divisors."""
    size, stride, kernel, before = (
        window.input[axis], window.stride[axis], window.kernel[axis], window.pads[axis][0],
    )  # fmt: skip
    taps: Taps = []
    for i in range(window.output[axis]):
        start = stride * i - before
        weight = Fraction(1, divisors[i] if divisors else 1)
        taps.append([(r, weight) for r in range(max(start, 0), min(start + kernel, size))])
    return taps


# --- adaptive ------------------------------------------------------------------------------------------------------

Span = Callable[[int, int, int], range]


def _adapted(arguments: Arguments, span: Span) -> tuple[Taps, Taps]:
    """The mean over ``span(i, size, outputs)`` for each window i of an axis."""
    sizes = arguments.arrays["x"].shape[-2:]
    outputs = [
        own if wanted is None else wanted
        for own, wanted in zip(sizes, pair(arguments.options["output_size"]), strict=True)
    ]
    rows, columns = (
        [mean_of(span(i, size, count)) for i in range(count)] for size, count in zip(sizes, outputs, strict=True)
    )
    return rows, columns


def _right(i: int, size: int, outputs: int) -> range:
    return range(i * size // outputs, -(-(i + 1) * size // outputs))


@mistake(ADAPTIVE, mend="Window i ends before ceil((i + 1) * H / H').")
def window_end_rounded_down(arguments: Arguments, base: Base) -> Results:
    """The end of a window is rounded down, so that windows never overlap (and may be empty)."""
    return mapped(arguments, *_adapted(arguments, lambda i, n, m: range(i * n // m, (i + 1) * n // m)))


@mistake(ADAPTIVE, mend="Window i starts at floor(i * H / H').")
def window_start_rounded_up(arguments: Arguments, base: Base) -> Results:
    """The start of a window is rounded up."""
    return mapped(arguments, *_adapted(arguments, lambda i, n, m: range(-(-i * n // m), -(-(i + 1) * n // m))))


@mistake(ADAPTIVE, mend="The windows' sizes differ where H' does not divide H: floor(i*H/H') to ceil((i+1)*H/H').")
def windows_of_one_size(arguments: Arguments, base: Base) -> Results:
    """All windows have stride H // H' and size H - (H' - 1) * stride, as in an average pooling."""

    def span(i: int, size: int, outputs: int) -> range:
        stride = size // outputs
        return range(stride * i, stride * i + size - (outputs - 1) * stride)

    return mapped(arguments, *_adapted(arguments, span))


@mistake(ADAPTIVE, mend="Divide by each window's own number of pixels.")
def divided_by_the_average_window(arguments: Arguments, base: Base) -> Results:
    """The sum over a window is divided by H*W / (H'*W'), whatever its own size is."""
    (H, W), (h, w) = arguments.arrays["x"].shape[-2:], base(arguments).output.shape[-2:]
    rows, columns = _adapted(arguments, _right)
    rows = [[(r, Fraction(h, H)) for r, _ in row] for row in rows]
    columns = [[(q, Fraction(w, W)) for q, _ in column] for column in columns]
    return mapped(arguments, rows, columns)


@mistake(ADAPTIVE, mend="Divide grad_output by the size of its window before it is spread.", affects=("x",))
def gradient_not_divided_by_the_window(arguments: Arguments, base: Base) -> Results:
    """Every pixel of a window gets its whole gradient instead of a share."""
    rows, columns = _adapted(arguments, _right)
    one = Fraction(1)
    whole = ([[(pixel, one) for pixel, _ in row] for row in taps] for taps in (rows, columns))
    return grafted(base(arguments), mapped(arguments, *whole))


@mistake(ADAPTIVE, mend="Add to the gradient: windows overlap where H' does not divide H.", affects=("x",))
def gradient_of_overlaps_not_accumulated(arguments: Arguments, base: Base) -> Results:
    """A pixel in several windows keeps only the share that the last of them gives."""
    rows, columns = _adapted(arguments, _right)
    size = arguments.arrays["x"].shape[-2:]
    return regraded(base(arguments), x=lambda _: overwritten(arguments.grad_output, rows, columns, size))
