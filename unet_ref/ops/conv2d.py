"""Two-dimensional convolution (cross-correlation, as in every deep-learning library)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Array
from ..errors import ShapeError
from ..operation import operation
from ..spec.conv2d import Conv2dGrads
from .correlate_weight import correlate_weight
from .correlation import correlate, correlate_adjoint, correlate_bias
from .im2col import at_once
from .window import (
    Pads,
    Window,
    batched,
    check_grad_output,
    check_image,
    check_shape,
    contiguous,
    integer,
    pads,
    pair,
    shape_of,
)


def conv2d_shape(
    x_shape: Sequence[int], weight_shape: Sequence[int], bias_shape: Sequence[int] | None = None, *,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> tuple[int, ...]:  # fmt: skip
    """Shape law: ``H' = (H + top + bottom - dh*(KH - 1) - 1) // sh + 1``, and the same for the width.

    >>> conv2d_shape((2, 3, 10, 9), (8, 3, 3, 5), stride=2, padding=(1, 2))
    (2, 8, 5, 5)
    """
    window = _window("conv2d", x_shape, weight_shape, bias_shape, stride, padding, dilation, groups)
    return (*x_shape[:-3], weight_shape[0], *window.output)


@operation()
def conv2d(
    x: Array, weight: Array, bias: Array | None = None, *,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """Convolution: every output pixel is a weighted sum of the input pixels under a window.

    ``y[n,o,i,j] = bias[o] + sum over c,k,l of weight[o,c,k,l] * x[n, g*(C/G)+c, sh*i + dh*k - top, sw*j + dw*l - left]``
    with ``g = o // (O/G)``, and x zero outside the image.

    Shape law: ``(N, C, H, W), (O, C/G, KH, KW) -> (N, O, H', W')`` with
    ``H' = (H + top + bottom - dh*(KH - 1) - 1) // sh + 1``; ``(C, H, W)`` gives ``(O, H', W')``.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        weight: ``(O, C/G, KH, KW)``, output channels first.
        bias: ``(O,)`` or ``None``.
        stride, dilation: int or ``(h, w)``, at least 1.
        padding: int, ``(h, w)``, ``((top, bottom), (left, right))``, ``"valid"`` or, at stride 1, ``"same"``.
        groups: G; divides C and O. Group ``g`` of the outputs sees only group ``g`` of the inputs.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: the kernel is not flipped (signal processing flips it). ``"same"`` puts an odd pad below and to the
    right, as TensorFlow and PyTorch do; ONNX calls that ``SAME_UPPER``.

    Source: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016).

    >>> import numpy as np
    >>> x = np.arange(12.0).reshape(1, 3, 4)
    >>> conv2d(x, np.array([[[[1.0, 2.0]]]]), np.array([0.5]))
    array([[[ 2.5,  5.5,  8.5],
            [14.5, 17.5, 20.5],
            [26.5, 29.5, 32.5]]])
    """
    window = _window("conv2d", x.shape, weight.shape, shape_of(bias), stride, padding, dilation, groups)
    y = correlate(batched("conv2d", x), contiguous(weight), window, groups, bias)
    return y if x.ndim == 4 else y[0]


@operation()
def conv2d_backward(
    grad_output: Array, x: Array, weight: Array, bias: Array | None = None, *,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Conv2dGrads:  # fmt: skip
    """The gradients of ``conv2d``: with ``dy = grad_output``, one sum for each argument.

    ``dx``: every output pixel gives its gradient back to the pixels it was made of, times the same weight.
    ``dweight[o,c,k,l]``: every product that the weight took part in, ``dy[n,o,i,j] * x[...]``, summed over n, i, j.
    ``dbias[o]``: the sum of ``dy`` over n, i, j.

    >>> import numpy as np
    >>> x, weight = np.arange(12.0).reshape(1, 3, 4), np.array([[[[1.0, 2.0]]]])
    >>> conv2d_backward(np.ones((1, 3, 3)), x, weight).weight
    array([[[[45., 54.]]]])
    """
    name = "conv2d_backward"
    window = _window(name, x.shape, weight.shape, shape_of(bias), stride, padding, dilation, groups)
    check_grad_output(name, grad_output, (*x.shape[:-3], weight.shape[0], *window.output))
    dy = batched(name, grad_output)

    grad_bias = None if bias is None else correlate_bias(dy)  # (N, O, H', W') -> (O,)
    grad_weight, grad_x = at_once(
        [
            lambda: correlate_weight(dy, batched(name, x), window, groups),
            lambda: correlate_adjoint(dy, contiguous(weight), window, groups),
        ],
        dy,
        products=dy.size * weight[0].size,
    )
    return Conv2dGrads(grad_x if x.ndim == 4 else grad_x[0], grad_weight, grad_bias)


def _window(
    name: str, x: Sequence[int], weight: Sequence[int], bias: Sequence[int] | None,
    stride: Any, padding: Any, dilation: Any, groups: int,
) -> Window:  # fmt: skip
    """All the rules of the arguments, and the geometry that follows from them."""
    check_image(name, x)
    if len(weight) != 4:
        raise ShapeError(f"{name}: weight must be (O, C/G, KH, KW), got shape {tuple(weight)}")
    (C, H, W), (O, C_in_group, *kernel) = x[-3:], weight
    groups = integer(name, "groups", groups, 1)
    for label, channels in (("x.shape[1]", C), ("weight.shape[0]", O)):
        if channels % groups:
            raise ShapeError(f"{name}: {label} ({channels}) must be divisible by groups ({groups})")
    if C_in_group * groups != C:
        raise ShapeError(
            f"{name}: weight.shape[1] ({C_in_group}) must equal x.shape[1] / groups ({C} / {groups} = {C // groups})"
        )
    if bias is not None:
        check_shape(name, "bias", bias, (O,), "(weight.shape[0],) =")
    strides, dilations = pair(name, "stride", stride), pair(name, "dilation", dilation)
    sides = _pads(name, padding, kernel, strides, dilations)
    output = [
        output_size(name, axis, size, k, s, p, d)
        for axis, size, k, s, p, d in zip(("height", "width"), (H, W), kernel, strides, sides, dilations, strict=True)
    ]
    return Window((H, W), (output[0], output[1]), (kernel[0], kernel[1]), strides, dilations, sides)


def output_size(name: str, axis: str, size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int) -> int:
    """``(size + before + after - dilation*(kernel - 1) - 1) // stride + 1`` for one axis."""
    span, padded = dilation * (kernel - 1) + 1, size + sum(pad)
    if kernel < 1 or span > padded:
        raise ShapeError(
            f"{name}: the padded {axis} ({size} + {pad[0]} + {pad[1]} = {padded}) must hold the dilated kernel "
            f"({dilation} * ({kernel} - 1) + 1 = {span})"
        )
    return (padded - span) // stride + 1


def _pads(name: str, padding: Any, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Pads:
    if not isinstance(padding, str):
        return pads(name, padding)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ShapeError(f"{name}: padding ({padding!r}) must be 'same', 'valid', an int or a pair")
    if tuple(stride) != (1, 1):
        raise ShapeError(f"{name}: padding 'same' needs stride 1, got stride {tuple(stride)}")
    vertical, horizontal = (d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    return (vertical // 2, vertical - vertical // 2), (horizontal // 2, horizontal - horizontal // 2)
