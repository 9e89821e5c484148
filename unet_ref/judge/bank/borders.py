"""Mistakes of cropping and padding: which pixels stay, and what stands around them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ...ops.taps import Taps
from ...ops.window import pads
from ..mistake import Arguments, Base, Results, mistake
from .axes import copied, mapped, overwritten
from .tools import number, pair, regraded

CROP, PAD = "center_crop2d", "pad2d"


def _cropped(arguments: Arguments, starts: Callable[[int, int], tuple[int, int]]) -> Results | None:
    """The crop at other starts, from the two differences of size; ``None`` where they are the right ones."""
    size, kept = arguments.arrays["x"].shape[-2:], pair(arguments.options["size"])
    cut = [whole - part for whole, part in zip(size, kept, strict=True)]
    found = starts(*cut)
    if found == (cut[0] // 2, cut[1] // 2):
        return None
    return mapped(arguments, *(copied([*range(s, s + n)], m) for s, n, m in zip(found, kept, size, strict=True)))


@mistake(CROP, mend="Of an odd difference the smaller part is cut off above and to the left: (H - h) // 2.")
def crop_one_pixel_late(arguments: Arguments, base: Base) -> Results | None:
    """Of an odd difference the larger part is cut off above and to the left: half is rounded up."""
    return _cropped(arguments, lambda down, across: ((down + 1) // 2, (across + 1) // 2))


@mistake(CROP, mend="Round half the difference down; Python's round goes to the even number, torchvision with it.")
def crop_rounded_to_even(arguments: Arguments, base: Base) -> Results | None:
    """Half of an odd difference is rounded to the even number, as Python's round does."""
    return _cropped(arguments, lambda down, across: (round(down / 2), round(across / 2)))


@mistake(CROP, mend="Start at half the difference of the sizes.")
def crop_from_the_upper_left(arguments: Arguments, base: Base) -> Results | None:
    """The upper left corner is kept instead of the middle."""
    return _cropped(arguments, lambda _down, _across: (0, 0))


@mistake(CROP, mend="Start at half the difference of the sizes.")
def crop_from_the_lower_right(arguments: Arguments, base: Base) -> Results | None:
    """The lower right corner is kept instead of the middle, as with a slice from the back."""
    return _cropped(arguments, lambda down, across: (down, across))


@mistake(CROP, mend="The rows start at half the difference of the heights, the columns at that of the widths.")
def crop_offsets_exchanged(arguments: Arguments, base: Base) -> Results | None:
    """The rows are cut off by half the difference of the widths, and the columns by that of the heights."""
    return _cropped(arguments, lambda down, across: (across // 2, down // 2))


@mistake(CROP, mend="The gradient goes back to where the pixels came from.", affects=("x",), seen=("mlx#4444",))
def crop_gradient_in_the_upper_left(arguments: Arguments, base: Base) -> Results | None:
    """The gradient is placed in the upper left corner instead of the middle."""
    wrong = _cropped(arguments, lambda _down, _across: (0, 0))
    return wrong if wrong is None else base(arguments)._replace(grads=wrong.grads)


# --- padding -------------------------------------------------------------------------------------------------------

Source = Callable[[int, int], int]  # of row i of an image of some size; -1: the constant


def _reflect(i: int, size: int) -> int:
    return -i if i < 0 else 2 * (size - 1) - i


def _edge(i: int, size: int) -> int:
    return min(max(i, 0), size - 1)


SOURCES: dict[str, Source] = {"constant": lambda _i, _size: -1, "reflect": _reflect, "replicate": _edge}


def _mode(arguments: Arguments) -> str:
    return str(arguments.options.get("mode", "constant"))


def _bordered(arguments: Arguments, source: Source, sides: Any = None, value: float = 0) -> Results:
    """The right shape, filled by ``source`` outside the image and, where that says -1, with ``value``."""
    own, x = pads(PAD, arguments.options["padding"], least=None), arguments.arrays["x"]
    lines = []
    for size, (before, after), (start, _) in zip(x.shape[-2:], own, sides or own, strict=True):
        rows = range(-start, size + before + after - start)
        lines.append([r if 0 <= r < size else source(r, size) for r in rows])
    taps = [copied(line, size) for line, size in zip(lines, x.shape[-2:], strict=True)]
    outside = (np.array(lines[0]) < 0)[:, None] | (np.array(lines[1]) < 0)
    results = mapped(arguments, taps[0], taps[1])
    return results._replace(output=np.where(outside, number(value, x), results.output).astype(x.dtype))


def _border(arguments: Arguments) -> bool:
    """Whether anything is added at all."""
    return any(side > 0 for axis in pads(PAD, arguments.options["padding"], least=None) for side in axis)


@mistake(PAD, mend="padding is ((top, bottom), (left, right)).")
def pads_before_and_after_swapped(arguments: Arguments, base: Base) -> Results | None:
    """What belongs below stands above, and what belongs to the right stands to the left."""
    rows, columns = pads(PAD, arguments.options["padding"], least=None)
    swapped = (rows[::-1], columns[::-1])
    return None if swapped == (rows, columns) else base(arguments.with_options(padding=swapped))


@mistake(PAD, mend="Row i of the output is row i - top of the image, column j column j - left.")
def offsets_of_rows_and_columns_exchanged(arguments: Arguments, base: Base) -> Results | None:
    """The image is moved down by the left padding and to the right by the top padding."""
    rows, columns = pads(PAD, arguments.options["padding"], least=None)
    if rows[0] == columns[0]:
        return None
    return _bordered(arguments, _within(SOURCES[_mode(arguments)]), (columns, rows), arguments.options.get("value", 0))


def _within(source: Source) -> Source:
    """A source that may ask for a row outside the image gets the constant there."""
    return lambda i, size: s if 0 <= (s := source(i, size)) < size else -1


def _other_border(arguments: Arguments, of: str, source: Source) -> Results | None:
    """Another border in one of the modes."""
    return _bordered(arguments, _within(source)) if _mode(arguments) == of and _border(arguments) else None


@mistake(PAD, mend="reflect does not repeat the border row: row -1 is row 1.")
def border_row_repeated_in_the_reflection(arguments: Arguments, base: Base) -> Results | None:
    """The reflection repeats the border row, as NumPy's symmetric mode does: row -1 is row 0."""
    return _other_border(arguments, "reflect", lambda i, size: -1 - i if i < 0 else 2 * size - 1 - i)


@mistake(PAD, mend="reflect mirrors the image; it does not hold its border row.")
def replicate_in_place_of_reflect(arguments: Arguments, base: Base) -> Results | None:
    """The border row is repeated where the image should be mirrored."""
    return _other_border(arguments, "reflect", _edge)


@mistake(PAD, mend="reflect mirrors the image; it does not continue with the other end.")
def circular_in_place_of_reflect(arguments: Arguments, base: Base) -> Results | None:
    """The image is continued with its other end: row -1 is the last one."""
    return _other_border(arguments, "reflect", lambda i, size: i % size)


@mistake(PAD, mend="replicate mirrors nothing: it holds the border row.")
def reflect_in_place_of_replicate(arguments: Arguments, base: Base) -> Results | None:
    """The image is mirrored where its border row should be repeated."""
    return _other_border(arguments, "replicate", _reflect)


@mistake(PAD, mend="Fill the border with the image's pixels in modes reflect and replicate.")
def zeros_in_place_of_the_border(arguments: Arguments, base: Base) -> Results | None:
    """The border is zero, whatever the mode says."""
    modes = ("reflect", "replicate")
    return _bordered(arguments, SOURCES["constant"]) if _mode(arguments) in modes and _border(arguments) else None


@mistake(PAD, mend="Fill the border with value.")
def constant_ignored(arguments: Arguments, base: Base) -> Results | None:
    """The border is zero instead of the constant that is asked for."""
    if _mode(arguments) != "constant" or arguments.options.get("value", 0) == 0 or not _border(arguments):
        return None
    return base(arguments.with_options(value=0))


@mistake(PAD, mend="Add the gradients of a pixel's images to its own.", affects=("x",))
def gradient_of_the_border_dropped(arguments: Arguments, base: Base) -> Results | None:
    """A pixel gets only the gradient of its own place, not those of its images in the border."""
    if _mode(arguments) == "constant" or not _border(arguments):
        return None
    wrong = _bordered(arguments, SOURCES["constant"])
    return base(arguments)._replace(grads=wrong.grads)


@mistake(PAD, mend="Add to the gradient: a pixel and its images all read it.", affects=("x",))
def gradient_of_the_last_image_only(arguments: Arguments, base: Base) -> Results | None:
    """A pixel keeps only the gradient of the last place where it stands."""
    if _mode(arguments) == "constant" or not _border(arguments):
        return None
    source, dy, x = SOURCES[_mode(arguments)], arguments.grad_output, arguments.arrays["x"]
    lines: list[Taps] = []
    for size, (before, after) in zip(x.shape[-2:], pads(PAD, arguments.options["padding"], least=None), strict=True):
        rows = range(-before, size + after)
        lines.append([[(r if 0 <= r < size else source(r, size), Fraction(1))] for r in rows])
    return regraded(base(arguments), x=lambda _: overwritten(dy, lines[0], lines[1], x.shape[-2:]))
