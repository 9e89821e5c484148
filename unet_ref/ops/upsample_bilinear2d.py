"""Bilinear upsampling with pixels as squares (``align_corners=False``)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..backend import Array
from ..operation import operation
from ..spec.upsample_bilinear2d import UpsampleBilinear2dGrads
from .resize import Axis, axes
from .taps import Taps, resample, resample_backward
from .window import check_grad_output

MULTIPLES = (1,)  # an axis whose size does not change is copied, whatever the scale_factor


def upsample_bilinear2d_shape(x_shape: Sequence[int], *, size: Any = None, scale_factor: Any = None) -> tuple[int, ...]:
    """Shape law: ``H' = size``, or ``H' = floor(H * scale_factor)``, and the same for the width.

    >>> upsample_bilinear2d_shape((2, 3, 10, 9), size=(20, 7))
    (2, 3, 20, 7)
    """
    rows, columns = axes("upsample_bilinear2d", x_shape, size, scale_factor, MULTIPLES)
    return (*x_shape[:-2], rows.output, columns.output)


@operation()
def upsample_bilinear2d(x: Array, *, size: Any = None, scale_factor: Any = None) -> Array:
    """Bilinear upsampling: every output pixel mixes the two rows and the two columns between which its centre lies.

    ``y[n,c,i,j] = sum over p,q of R[i,p] * R[j,q] * x[n,c,p,q]`` with ``R[i,p] = max(0, 1 - |s - p|)``, where
    ``s = (i + 1/2) * rh - 1/2``, held within ``0 .. H - 1``, is output row i's centre among the input rows. ``rh`` is
    the number of input pixels per output pixel: ``H / H'`` with ``size``, ``1 / scale_factor`` with ``scale_factor``.

    Shape law: ``(N, C, H, W) -> (N, C, H', W')`` with ``(H', W') = size`` or ``H' = floor(H * scale_factor)``, computed
    in float64; ``(C, H, W)`` gives ``(C, H', W')``.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        size: int or ``(h, w)``, in pixels, at least 1.
        scale_factor: number or ``(h, w)``, positive; below 1 pixels between the taps count for nothing, there is no
            smoothing. Give it or ``size``, not both.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: integers, anything that is no array.

    Conventions: PyTorch's ``align_corners=False`` (ONNX: ``half_pixel``). With ``align_corners=True`` the centres of
    the corner pixels are fixed points instead, and the middle of an image depends on its size. PyTorch on the CPU
    copies an axis whose size does not change, even at a scale factor of 1.02, and so does this. A pixel without weight
    is not read; PyTorch multiplies it by zero, which matters if it is infinite.

    Source: PyTorch's ``torch.nn.functional.interpolate``.

    >>> import numpy as np
    >>> upsample_bilinear2d(np.array([[[0.0, 4.0]]]), size=(1, 4))
    array([[[0., 1., 3., 4.]]])
    """
    rows, columns = axes("upsample_bilinear2d", x.shape, size, scale_factor, MULTIPLES)
    return resample(x, _taps, rows, columns)


@operation()
def upsample_bilinear2d_backward(
    grad_output: Array, x: Array, *, size: Any = None, scale_factor: Any = None
) -> UpsampleBilinear2dGrads:
    """The gradient of ``upsample_bilinear2d``: ``dx[n,c,p,q] = sum over i,j of R[i,p] * R[j,q] * dy[n,c,i,j]``.

    >>> import numpy as np
    >>> upsample_bilinear2d_backward(np.array([[[1.0, 2.0, 4.0, 8.0]]]), np.zeros((1, 1, 2)), size=(1, 4)).x
    array([[[ 3.5, 11.5]]])
    """
    name = "upsample_bilinear2d_backward"
    rows, columns = axes(name, x.shape, size, scale_factor, MULTIPLES)
    check_grad_output(name, grad_output, (*x.shape[:-2], rows.output, columns.output))
    return UpsampleBilinear2dGrads(resample_backward(grad_output, _taps, rows, columns))


def _taps(axis: Axis) -> Taps:
    """For each output pixel the one at or before its centre, and the one after, if that has any weight."""
    last, (p, q) = axis.input - 1, axis.ratio.as_integer_ratio()
    taps: Taps = []
    for i in range(axis.output):
        s = min(max((2 * i + 1) * p - q, 0), 2 * q * last)  # the centre, in units of 1/2q pixels
        first, rest = divmod(s, 2 * q)
        weight = Fraction(rest, 2 * q)
        taps.append([(first, 1 - weight), (first + 1, weight)] if rest else [(first, Fraction(1))])
    return taps
