"""A border around an image: constant, reflected or replicated."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ..arithmetic import constant
from ..backend import Array, namespace
from ..errors import DTypeError, ShapeError
from ..operation import operation
from ..spec.pad2d import Pad2dGrads
from .taps import Taps, resample, resample_backward
from .window import Pads, check_grad_output, check_image, pads

MODES = ("constant", "reflect", "replicate")


def pad2d_shape(x_shape: Sequence[int], *, padding: Any, mode: str = "constant", value: float = 0) -> tuple[int, ...]:
    """Shape law: ``H' = H + top + bottom``, ``W' = W + left + right``.

    >>> pad2d_shape((2, 3, 10, 9), padding=((1, 2), (0, -3)))
    (2, 3, 13, 6)
    """
    return _output("pad2d", x_shape, _pads("pad2d", x_shape, padding, mode, value))


@operation()
def pad2d(x: Array, *, padding: Any, mode: str = "constant", value: float = 0) -> Array:
    """A border around an image: ``y[n,c,i,j] = x[n, c, source(i - top, H), source(j - left, W)]``.

    ``source(i, H)`` brings a row outside the image back into it: ``reflect`` mirrors about the centres of the first and
    the last row (which are not repeated), ``replicate`` holds at them. With ``constant``, y is ``value`` out there.

    Shape law: ``(N, C, H, W) -> (N, C, H + top + bottom, W + left + right)``; ``(C, H, W)`` likewise.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        padding: int, ``(h, w)`` or ``((top, bottom), (left, right))``, in pixels; a negative one takes pixels away.
            With ``reflect`` each is less than the image's size.
        mode: ``"constant"``, ``"reflect"`` or ``"replicate"``.
        value: a real number, for ``constant`` only; it is converted to the dtype of x.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: integers, anything that is no array, a ``value`` that is no real number.

    Conventions: height first, and nested; PyTorch's ``pad`` wants ``(left, right, top, bottom)``. NumPy calls
    ``replicate`` ``edge``, ONNX too; ``symmetric``, which repeats the border row, is none of these.

    Source: PyTorch's ``torch.nn.functional.pad``.

    >>> import numpy as np
    >>> pad2d(np.array([[[1.0, 2.0, 3.0]]]), padding=(0, 2), mode="reflect")
    array([[[3., 2., 1., 2., 3., 2., 1.]]])
    """
    sides = _pads("pad2d", x.shape, padding, mode, value)
    shape = _output("pad2d", x.shape, sides)
    if mode != "constant":
        return resample(x, _taps, *_axes(x.shape, sides, mode))
    y = namespace(x).full(shape, constant(value, x), dtype=x.dtype)
    (to_rows, rows), (to_columns, columns) = _shared(x.shape, sides)
    y[..., to_rows, to_columns] = x[..., rows, columns]
    return y


@operation()
def pad2d_backward(
    grad_output: Array, x: Array, *, padding: Any, mode: str = "constant", value: float = 0
) -> Pad2dGrads:
    """The gradient of ``pad2d``: every pixel gets the sum over the places where it stands, itself and its images.

    >>> import numpy as np
    >>> dy = np.array([[[1.0, 2.0, 4.0, 8.0, 16.0]]])
    >>> pad2d_backward(dy, np.zeros((1, 1, 3)), padding=(0, 1), mode="reflect").x
    array([[[ 2., 21.,  8.]]])
    """
    name = "pad2d_backward"
    sides = _pads(name, x.shape, padding, mode, value)
    check_grad_output(name, grad_output, _output(name, x.shape, sides))
    if mode != "constant":
        return Pad2dGrads(resample_backward(grad_output, _taps, *_axes(x.shape, sides, mode)))
    dx = namespace(x).zeros(x.shape, dtype=x.dtype)
    (to_rows, rows), (to_columns, columns) = _shared(x.shape, sides)
    dx[..., rows, columns] = grad_output[..., to_rows, to_columns]
    return Pad2dGrads(dx)


def _pads(name: str, x_shape: Sequence[int], padding: Any, mode: str, value: Any) -> Pads:
    """All the rules of the arguments but the output's size."""
    check_image(name, x_shape)
    if mode not in MODES:
        raise ShapeError(f"{name}: mode ({mode!r}) must be 'constant', 'reflect' or 'replicate'")
    if not isinstance(value, numbers.Real):
        raise DTypeError(f"{name}: value ({value!r}) must be a real number")
    if mode != "constant" and value != 0:
        raise ShapeError(f"{name}: value ({value}) needs mode 'constant', got mode {mode!r}")
    sides = pads(name, padding, least=None)
    for axis, size, side in zip(("height", "width"), x_shape[-2:], sides, strict=True):
        if mode == "reflect" and max(side) >= size:
            raise ShapeError(f"{name}: mode 'reflect' needs pads {side} less than the {axis} of x ({size})")
        if mode == "replicate" and size < 1:
            raise ShapeError(f"{name}: mode 'replicate' needs a {axis} of x ({size}) of at least 1")
    return sides


def _output(name: str, x_shape: Sequence[int], sides: Pads) -> tuple[int, ...]:
    output = []
    for axis, size, (before, after) in zip(("height", "width"), x_shape[-2:], sides, strict=True):
        output.append(size + before + after)
        if output[-1] < 1:
            raise ShapeError(
                f"{name}: the padded {axis} ({size} + {before} + {after} = {output[-1]}) must be at least 1"
            )
    return (*x_shape[:-2], *output)


class Axis(NamedTuple):
    """One axis of an image with a border."""

    input: int
    pad: tuple[int, int]
    mode: str

    @property
    def output(self) -> int:
        """Its size with the border."""
        return self.input + sum(self.pad)


def _axes(x_shape: Sequence[int], sides: Pads, mode: str) -> tuple[Axis, Axis]:
    rows, columns = (Axis(size, side, mode) for size, side in zip(x_shape[-2:], sides, strict=True))
    return rows, columns


def _taps(axis: Axis) -> Taps:
    """The one pixel that stands at each position: the border before, the image, the border after; then cut by what is
    negative.
    """
    size = axis.input
    before, after = (max(side, 0) for side in axis.pad)
    if axis.mode == "reflect":
        line = [*range(before, 0, -1), *range(size), *range(size - 2, size - 2 - after, -1)]
    else:
        line = [0] * before + [*range(size)] + [size - 1] * after
    cut_before, cut_after = (max(-side, 0) for side in axis.pad)
    return [[(source, Fraction(1))] for source in line[cut_before : len(line) - cut_after]]


def _shared(x_shape: Sequence[int], sides: Pads) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """For the rows and for the columns: where in the output the image lies, and which part of it lies there."""
    rows, columns = (
        _overlap(size, before, size + before + after) for size, (before, after) in zip(x_shape[-2:], sides, strict=True)
    )
    return rows, columns


def _overlap(size: int, before: int, output: int) -> tuple[slice, slice]:
    start = min(max(before, 0), output)
    stop = max(min(before + size, output), start)
    return slice(start, stop), slice(start - before, stop - before)
