"""Nearest-neighbour upsampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..backend import Array
from ..operation import operation
from ..spec.upsample_nearest2d import UpsampleNearest2dGrads
from .resize import Axis, axes
from .taps import Taps, resample, resample_backward
from .window import check_grad_output

MULTIPLES = (1, 2)  # at these whole multiples of the input's size, the sizes' quotient replaces 1 / scale_factor


def upsample_nearest2d_shape(x_shape: Sequence[int], *, size: Any = None, scale_factor: Any = None) -> tuple[int, ...]:
    """Shape law: ``H' = size``, or ``H' = floor(H * scale_factor)``, and the same for the width.

    >>> upsample_nearest2d_shape((2, 3, 10, 9), scale_factor=(2, 1.5))
    (2, 3, 20, 13)
    """
    rows, columns = axes("upsample_nearest2d", x_shape, size, scale_factor, MULTIPLES)
    return (*x_shape[:-2], rows.output, columns.output)


@operation()
def upsample_nearest2d(x: Array, *, size: Any = None, scale_factor: Any = None) -> Array:
    """Nearest-neighbour upsampling: every output pixel copies one input pixel.

    ``y[n,c,i,j] = x[n, c, floor(i * rh), floor(j * rw)]``, where ``rh`` and ``rw`` are the number of input pixels per
    output pixel: ``H / H'`` with ``size``, ``1 / scale_factor`` with ``scale_factor``.

    Shape law: ``(N, C, H, W) -> (N, C, H', W')`` with ``(H', W') = size`` or ``H' = floor(H * scale_factor)``, computed
    in float64; ``(C, H, W)`` gives ``(C, H', W')``.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        size: int or ``(h, w)``, in pixels, at least 1.
        scale_factor: number or ``(h, w)``, positive; below 1 it leaves pixels out. Give it or ``size``, not both.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: integers, anything that is no array.

    Conventions: PyTorch's ``mode="nearest"`` (ONNX: ``asymmetric`` and ``floor``), which looks at the upper left corner
    of a pixel; ``nearest-exact``, Pillow and scikit-image look at its centre. The coordinate is exact here; PyTorch
    computes it in float32 and, rarely, copies the pixel before. Where H' is H or 2H, ``rh = H / H'`` whatever the
    scale. The page ``docs/ops/upsample_nearest2d.md`` has more.

    Source: PyTorch's ``torch.nn.functional.interpolate``.

    >>> import numpy as np
    >>> upsample_nearest2d(np.array([[[1.0, 2.0]]]), scale_factor=(2, 1.5))
    array([[[1., 1., 2.],
            [1., 1., 2.]]])
    """
    rows, columns = axes("upsample_nearest2d", x.shape, size, scale_factor, MULTIPLES)
    return resample(x, _taps, rows, columns)


@operation()
def upsample_nearest2d_backward(
    grad_output: Array, x: Array, *, size: Any = None, scale_factor: Any = None
) -> UpsampleNearest2dGrads:
    """The gradient of ``upsample_nearest2d``: every input pixel gets the sum over its copies.

    >>> import numpy as np
    >>> upsample_nearest2d_backward(np.array([[[1.0, 2.0, 4.0]]]), np.zeros((1, 1, 2)), scale_factor=(1, 1.5)).x
    array([[[3., 4.]]])
    """
    name = "upsample_nearest2d_backward"
    rows, columns = axes(name, x.shape, size, scale_factor, MULTIPLES)
    check_grad_output(name, grad_output, (*x.shape[:-2], rows.output, columns.output))
    return UpsampleNearest2dGrads(resample_backward(grad_output, _taps, rows, columns))


def _taps(axis: Axis) -> Taps:
    """One tap of weight 1 for each output pixel."""
    return [[(math.floor(i * axis.ratio), Fraction(1))] for i in range(axis.output)]
