"""Where a sliding window lies on an image: the geometry that convolutions and poolings share."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..backend import namespace
from ..errors import ShapeError

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


class Window(NamedTuple):
    """A window of ``kernel`` taps on an image of ``input`` pixels, padded by ``pads``, at ``output`` positions.

    Tap ``(k, l)`` of output ``(i, j)`` reads the padded pixel ``(stride*i + dilation*k, stride*j + dilation*l)``.
    """

    input: Pair
    output: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: Pads

    @property
    def padded(self) -> Pair:
        """The padded image's size, grown where ceil mode lets the last window hang over."""
        height, width = (
            max(size + before + after, stride * (out - 1) + dilation * (kernel - 1) + 1)
            for size, (before, after), stride, out, dilation, kernel in zip(
                self.input, self.pads, self.stride, self.output, self.dilation, self.kernel, strict=True
            )
        )
        return height, width

    @property
    def disjoint(self) -> bool:
        """Whether each pixel is under one window at most."""
        return all(s > d * (k - 1) for s, d, k in zip(self.stride, self.dilation, self.kernel, strict=True))

    @property
    def tiles(self) -> bool:
        """Whether each pixel is under one window exactly."""
        covered = tuple(s * i for s, i in zip(self.stride, self.output, strict=True)) == self.input
        return covered and self.disjoint and self.kernel == self.stride and self.pads == ((0, 0), (0, 0))

    def taps(self) -> Iterator[tuple[int, int, slice, slice]]:
        """Each tap ``(k, l)`` with the rows and columns of the padded image that it reads, row-major."""
        for k in range(self.kernel[0]):
            for l in range(self.kernel[1]):
                yield k, l, self._reads(0, k), self._reads(1, l)

    def _reads(self, axis: int, tap: int) -> slice:
        start = self.dilation[axis] * tap
        return slice(start, start + self.stride[axis] * (self.output[axis] - 1) + 1, self.stride[axis])

    def on_image(self, axis: int) -> Iterator[tuple[int, slice, slice]]:
        """Each tap of one axis, the outputs at which it lies on the image, and the pixels that it reads at them.

        Who goes by these needs no padded copy: what lies outside takes part in nothing.
        """
        size, stride, before = self.input[axis], self.stride[axis], self.pads[axis][0]
        for tap in range(self.kernel[axis]):
            offset = self.dilation[axis] * tap - before  # output i reads pixel stride*i + offset
            first = max(0, -(offset // stride))
            stop = min(self.output[axis], -((offset - size) // stride))
            if first < stop:
                reads = slice(stride * first + offset, stride * (stop - 1) + offset + 1, stride)
                yield tap, slice(first, stop), reads

    def inside(self) -> tuple[slice, slice]:
        """The unpadded image within the padded one."""
        (top, _), (left, _) = self.pads
        return slice(top, top + self.input[0]), slice(left, left + self.input[1])


def integer(operation: str, name: str, value: Any, least: int) -> int:
    """``value`` as an int of at least ``least``."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ShapeError(f"{operation}: {name} ({value!r}) must be an integer") from None
    if isinstance(value, bool) or number < least:
        raise ShapeError(f"{operation}: {name} ({value!r}) must be an integer of at least {least}")
    return number


def pair(operation: str, name: str, value: Any, least: int = 1) -> Pair:
    """An int, or a pair ``(h, w)``, of integers of at least ``least``."""
    if not isinstance(value, Sequence):
        value = (value, value)
    if len(value) != 2 or isinstance(value, str):
        raise ShapeError(f"{operation}: {name} ({value!r}) must be an int or a pair (h, w)")
    return integer(operation, name, value[0], least), integer(operation, name, value[1], least)


def pads(operation: str, padding: Any, least: int | None = 0) -> Pads:
    """``((top, bottom), (left, right))`` from an int, a pair ``(h, w)`` or that form itself."""
    vertical, horizontal = padding if isinstance(padding, Sequence) and len(padding) == 2 else (padding, padding)
    floor = -(2**62) if least is None else least
    return pair(operation, "padding", vertical, floor), pair(operation, "padding", horizontal, floor)


def batched(operation: str, x: Any, name: str = "x") -> Any:
    """``x`` as contiguous ``(N, C, H, W)``; ``(C, H, W)`` becomes a batch of one."""
    check_image(operation, x.shape, name)
    return contiguous(x if x.ndim == 4 else x[None])


def contiguous(x: Any) -> Any:
    """``x`` in row-major order: sums and matrix products may add in another order where it lies otherwise in memory."""
    return namespace(x).ascontiguousarray(x)


def check_image(operation: str, shape: Sequence[int], name: str = "x") -> None:
    """Images are ``(N, C, H, W)`` or ``(C, H, W)``."""
    if len(shape) not in (3, 4):
        raise ShapeError(f"{operation}: {name} must be (N, C, H, W) or (C, H, W), got shape {tuple(shape)}")


def check_shape(operation: str, name: str, shape: Sequence[int], expected: Sequence[int], rule: str) -> None:
    """``shape == expected``, or a sentence that says by which rule it should be."""
    if tuple(shape) != tuple(expected):
        raise ShapeError(f"{operation}: {name}.shape {tuple(shape)} must be {rule} {tuple(expected)}")


def shape_of(array: Any | None) -> tuple[int, ...] | None:
    """The shape of an optional argument."""
    return None if array is None else array.shape


def check_grad_output(operation: str, grad_output: Any, expected: Sequence[int]) -> None:
    """The upstream gradient has the shape of the output."""
    check_shape(operation, "grad_output", grad_output.shape, expected, "the output's shape")
