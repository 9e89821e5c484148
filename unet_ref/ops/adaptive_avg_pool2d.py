"""Two-dimensional average pooling to a given size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..arithmetic import divide
from ..backend import Array, namespace
from ..operation import operation
from ..passes import row_sums
from ..spec.adaptive_avg_pool2d import AdaptiveAvgPool2dGrads
from .pooling import check_pixels
from .window import Pair, check_grad_output, pair


def adaptive_avg_pool2d_shape(x_shape: Sequence[int], *, output_size: Any) -> tuple[int, ...]:
    """Shape law: ``(N, C, H, W) -> (N, C, H', W')`` with ``(H', W') = output_size``, ``None`` meaning the image's own.

    >>> adaptive_avg_pool2d_shape((2, 3, 10, 9), output_size=(4, None))
    (2, 3, 4, 9)
    """
    return (*x_shape[:-2], *_sizes("adaptive_avg_pool2d", x_shape, output_size))


@operation()
def adaptive_avg_pool2d(x: Array, *, output_size: Any) -> Array:
    """Average pooling whose windows follow from the size asked for: H' of them share the H rows as evenly as can be.

    ``y[n,c,i,j] = mean over r in span(i, H, H'), q in span(j, W, W') of x[n,c,r,q]`` with
    ``span(i, H, H') = floor(i*H/H') .. ceil((i+1)*H/H') - 1``. Neighbouring windows overlap where H' does not divide H.

    Shape law: ``(N, C, H, W) -> (N, C, H', W')``; ``(C, H, W)`` gives ``(C, H', W')``.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        output_size: int or ``(H', W')``; ``None`` in the pair keeps that size. May be larger than the image.

    Raises
    ------
        ShapeError: an output size that is no size, an image without pixels; with the rule and the values.
        DTypeError: integers, or anything that is no array.

    Conventions: the spans are PyTorch's. Caffe's, MXNet's and ONNX's global pooling is ``output_size=1``.

    Source: PyTorch's ``torch.nn.AdaptiveAvgPool2d``; He et al., *Spatial pyramid pooling in deep convolutional
    networks* (2015), where the bins come from.

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.array([[[1.0, 5.0, 2.0], [3.0, 4.0, 9.0]]]), output_size=(1, 2))
    array([[[3.25, 5.  ]]])
    """
    H_out, W_out = _sizes("adaptive_avg_pool2d", x.shape, output_size)
    total = _span_sums(_span_sums(x, -1, W_out), -2, H_out)
    return divide(total, _counts(x, H_out, W_out))


@operation()
def adaptive_avg_pool2d_backward(grad_output: Array, x: Array, *, output_size: Any) -> AdaptiveAvgPool2dGrads:
    """The gradient of ``adaptive_avg_pool2d``: every output pixel gives each pixel under its window an equal share.

    ``dx[n,c,r,q] = sum of dy[n,c,i,j] / (pixels of window i,j) over i in span(r, H', H), j in span(q, W', W)``: pixel
    r lies in the window i exactly where i lies in span(r, H', H), so that the same sums serve both ways.

    >>> import numpy as np
    >>> adaptive_avg_pool2d_backward(np.array([[[4.0, 8.0]]]), np.zeros((1, 2, 3)), output_size=(1, 2)).x
    array([[[1., 3., 2.],
            [1., 3., 2.]]])
    """
    name = "adaptive_avg_pool2d_backward"
    H_out, W_out = _sizes(name, x.shape, output_size)
    check_grad_output(name, grad_output, (*x.shape[:-2], H_out, W_out))
    H, W = x.shape[-2:]
    share = divide(grad_output, _counts(x, H_out, W_out))
    return AdaptiveAvgPool2dGrads(_span_sums(_span_sums(share, -2, H), -1, W))


def _sizes(name: str, x_shape: Sequence[int], output_size: Any) -> Pair:
    """The output's height and width."""
    size = check_pixels(name, x_shape)
    if isinstance(output_size, Sequence) and len(output_size) == 2:
        output_size = [own if wanted is None else wanted for own, wanted in zip(size, output_size, strict=True)]
    return pair(name, "output_size", output_size, 0)


def _span(i: int, size: int, outputs: int) -> range:
    """The pixels of window ``i`` along one axis."""
    return range(i * size // outputs, -(-(i + 1) * size // outputs))


def _counts(x: Array, H_out: int, W_out: int) -> Array:
    """How many pixels each window holds: ``(H', W')``."""
    xp, (H, W) = namespace(x), x.shape[-2:]
    rows = xp.asarray([len(_span(i, H, H_out)) for i in range(H_out)], dtype="int64")
    columns = xp.asarray([len(_span(j, W, W_out)) for j in range(W_out)], dtype="int64")
    return rows[:, None] * columns


def _span_sums(x: Array, axis: int, outputs: int) -> Array:
    """The sum of ``x`` over each window of one axis, the last (-1) or the one before it.

    No prefix sums: their differences cancel, and would carry the rounding of the whole row into every window. With
    ``size = g*p`` and ``outputs = g*q``, window ``i + q`` is window ``i`` moved by ``p``: slices reach all g at once.
    Mostly g is one of the two numbers: p pixels make a window, or q windows have one pixel.
    """
    x = namespace(x).ascontiguousarray(x)  # no sum depends on strides
    size, lead, rest = x.shape[axis], x.shape[:axis], x.shape[axis:][1:]
    g = math.gcd(size, outputs)
    p, q = size // g, outputs // g if g else 0
    if g and q == 1:
        windows = x.reshape(*lead, g, p, *rest)
        return row_sums(windows)[..., 0] if axis == -1 else windows.sum(axis=axis)
    y = namespace(x).zeros((*lead, outputs, *rest), dtype=x.dtype)
    if g and p == 1:
        y.reshape(*lead, g, q, *rest)[...] = x.reshape(*lead, g, 1, *rest)
        return y
    from_axis, to_axis = x.swapaxes(axis, 0), y.swapaxes(axis, 0)
    for i in range(q):
        for r in _span(i, size, outputs):
            to_axis[i::q] += from_axis[r::p]
    return y
