"""Mistakes of upsampling: where an output pixel looks for its input pixels, and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ...ops.resize import Axis, axes
from ...ops.taps import Taps
from ..mistake import Arguments, Base, Results, mistake
from .axes import copied, mapped, overwritten
from .tools import regraded

NEAREST, BILINEAR = "upsample_nearest2d", "upsample_bilinear2d"
MULTIPLES = {NEAREST: (1, 2), BILINEAR: (1,)}

Place = Callable[[int, Axis], Fraction]


def axes_of(arguments: Arguments) -> tuple[Axis, Axis]:
    """Height and width of input and output, and the number of input pixels per output pixel."""
    x, options = arguments.arrays["x"], arguments.options
    return axes(
        arguments.name, x.shape, options.get("size"), options.get("scale_factor"), MULTIPLES[arguments.name]
    )  # fmt: skip


def nearest(axis: Axis, place: Place) -> Taps:
    """Every output pixel copies the pixel at or before its place."""
    return copied([min(max(math.floor(place(i, axis)), 0), axis.input - 1) for i in range(axis.output)], axis.input)


def bilinear(axis: Axis, place: Place, *, clamped: bool = True) -> Taps:
    """Every output pixel mixes the two pixels about its place, which is held within the image."""
    last, taps = axis.input - 1, []
    for i in range(axis.output):
        s = place(i, axis)
        s = min(max(s, Fraction(0)), Fraction(last)) if clamped else s
        p = min(max(math.floor(s), 0), last)
        after, weight = min(p + 1, last), s - p
        taps.append([(p, 1 - weight), (after, weight)] if weight and after > p else [(p, Fraction(1))])
    return taps


KINDS: dict[str, Callable[[Axis, Place], Taps]] = {NEAREST: nearest, BILINEAR: bilinear}
HALF = Fraction(1, 2)


def _corner(i: int, axis: Axis) -> Fraction:
    return i * axis.ratio


def _centre(i: int, axis: Axis) -> Fraction:
    return (i + HALF) * axis.ratio - HALF


RIGHT: dict[str, Place] = {NEAREST: _corner, BILINEAR: _centre}


def _placed(arguments: Arguments, place: Place) -> Results:
    kind, (rows, columns) = KINDS[arguments.name], axes_of(arguments)
    return mapped(arguments, kind(rows, place), kind(columns, place))


def _at_ratio(arguments: Arguments, *ratios: Fraction) -> Results | None:
    """The right formula with other ratios; ``None`` where they are the right ones."""
    both = axes_of(arguments)
    wrong = [axis._replace(ratio=ratio) for axis, ratio in zip(both, ratios, strict=True)]
    kind, place = KINDS[arguments.name], RIGHT[arguments.name]
    return None if tuple(wrong) == both else mapped(arguments, *(kind(axis, place) for axis in wrong))


@mistake(NEAREST, mend="Nearest means floor(i * ratio) here; nearest-exact is another mode.")
def coordinate_rounded(arguments: Arguments, base: Base) -> Results:
    """The coordinate i * ratio is rounded to the nearest pixel instead of down."""
    return _placed(arguments, lambda i, axis: _corner(i, axis) + HALF)


@mistake(NEAREST, mend="Nearest looks at a pixel's upper left corner, floor(i * ratio); nearest-exact is another mode.")
def centre_of_the_pixel_looked_up(arguments: Arguments, base: Base) -> Results:
    """Every output pixel copies the pixel at its centre, floor((i + 1/2) * ratio), as nearest-exact does."""
    return _placed(arguments, lambda i, axis: (i + HALF) * axis.ratio)


@mistake(NEAREST, mend="Round the coordinate down: floor(i * ratio).")
def coordinate_rounded_up(arguments: Arguments, base: Base) -> Results:
    """The coordinate i * ratio is rounded up instead of down."""
    return _placed(arguments, lambda i, axis: Fraction(math.ceil(_corner(i, axis))))


@mistake(
    NEAREST, BILINEAR, mend="align_corners is off: the ratio is H / H', not (H - 1) / (H' - 1).", seen=("mlx#3908",)
)  # fmt: skip
def corners_aligned(arguments: Arguments, base: Base) -> Results:
    """The corner pixels' centres are fixed points, as with align_corners=True."""
    return _placed(arguments, lambda i, axis: Fraction(i * (axis.input - 1), max(axis.output - 1, 1)))


@mistake(BILINEAR, mend="Pixels are squares: their centres are half a pixel in, s = (i + 1/2) * ratio - 1/2.")
def half_pixel_shift_missing(arguments: Arguments, base: Base) -> Results:
    """The coordinate is i * ratio, without the half pixels that bring centres to centres."""
    return _placed(arguments, _corner)


@mistake(BILINEAR, mend="Subtract the half pixel after the scaling: s = (i + 1/2) * ratio - 1/2.")
def half_pixel_added_only(arguments: Arguments, base: Base) -> Results:
    """The coordinate is (i + 1/2) * ratio: the half pixel is not subtracted again."""
    return _placed(arguments, lambda i, axis: (i + HALF) * axis.ratio)


@mistake(BILINEAR, mend="Hold the coordinate within 0 .. H - 1 before it is split into pixel and weight.")
def coordinate_not_held_in_the_image(arguments: Arguments, base: Base) -> Results:
    """Before the first pixel's centre the image is continued along its slope: weights below 0 and above 1."""
    rows, columns = axes_of(arguments)
    return mapped(arguments, *(bilinear(axis, _centre, clamped=False) for axis in (rows, columns)))


@mistake(BILINEAR, mend="The pixel after the coordinate gets the fraction, the one before it the rest.")
def weights_exchanged(arguments: Arguments, base: Base) -> Results:
    """The two neighbours of a coordinate have exchanged their weights."""
    both = []
    for axis in axes_of(arguments):
        taps = bilinear(axis, _centre)
        both.append([row if len(row) == 1 else [(row[0][0], row[1][1]), (row[1][0], row[0][1])] for row in taps])
    return mapped(arguments, *both)


@mistake(BILINEAR, mend="Mix the two neighbours by the fraction of the coordinate.")
def nearest_in_place_of_bilinear(arguments: Arguments, base: Base) -> Results:
    """Every output pixel copies one input pixel."""
    return mapped(arguments, *(nearest(axis, _corner) for axis in axes_of(arguments)))


@mistake(
    NEAREST, BILINEAR, mend="A scale factor is taken at its word: the ratio is 1 / scale_factor, not H / H'.",
    seen=("FlagGems#5216", "pytorch#65200"),
)  # fmt: skip
def ratio_from_the_sizes(arguments: Arguments, base: Base) -> Results | None:
    """The ratio is the quotient of the sizes, although a scale factor is given that says otherwise."""
    return _at_ratio(arguments, *(Fraction(axis.input, axis.output) for axis in axes_of(arguments)))


@mistake(NEAREST, BILINEAR, mend="Each axis has a ratio of its own.")
def ratio_of_the_height_used_for_the_width(arguments: Arguments, base: Base) -> Results | None:
    """The columns are scaled by the rows' ratio."""
    rows, _ = axes_of(arguments)
    return _at_ratio(arguments, rows.ratio, rows.ratio)


def _right_taps(arguments: Arguments) -> tuple[Taps, Taps]:
    rows, columns = (KINDS[arguments.name](axis, RIGHT[arguments.name]) for axis in axes_of(arguments))
    return rows, columns


@mistake(NEAREST, mend="An input pixel's gradient is the sum over its copies.", affects=("x",))
def gradient_averaged_over_the_copies(arguments: Arguments, base: Base) -> Results:
    """An input pixel gets the mean of the gradients of its copies instead of their sum."""
    rows, columns = _right_taps(arguments)
    return regraded(base(arguments), x=lambda _: mapped(arguments, _averaged(rows), _averaged(columns)).grads["x"])


def _averaged(taps: Taps) -> Taps:
    """Taps of one pixel each, weighted by one over the number of those that read it."""
    pixels = [row[0][0] for row in taps]
    return [[(pixel, Fraction(1, pixels.count(pixel)))] for pixel in pixels]


@mistake(NEAREST, BILINEAR, mend="Add to the gradient: many outputs read the same pixel.", affects=("x",))
def only_the_last_copy_gives_its_gradient(arguments: Arguments, base: Base) -> Results:
    """An input pixel keeps only what the last output that reads it gives back."""
    rows, columns = _right_taps(arguments)
    size: Any = arguments.arrays["x"].shape[-2:]
    return regraded(base(arguments), x=lambda _: overwritten(arguments.grad_output, rows, columns, size))
