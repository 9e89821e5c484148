"""Two-dimensional transposed convolution (the adjoint of convolution, not its inverse)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Array
from ..errors import ShapeError
from ..operation import operation
from ..spec.conv_transpose2d import ConvTranspose2dGrads
from .correlate_weight import correlate_weight
from .correlation import correlate, correlate_adjoint, correlate_bias
from .im2col import at_once
from .window import (
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


def conv_transpose2d_shape(
    x_shape: Sequence[int], weight_shape: Sequence[int], bias_shape: Sequence[int] | None = None, *,
    stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> tuple[int, ...]:  # fmt: skip
    """Shape law: ``H' = sh*(H - 1) + dh*(KH - 1) + 1 + output_padding - top - bottom``, and the same for the width.

    >>> conv_transpose2d_shape((2, 8, 5, 4), (8, 3, 3, 2), stride=2, padding=(1, 0), output_padding=(1, 0))
    (2, 3, 10, 8)
    """
    name = "conv_transpose2d"
    window = _window(name, x_shape, weight_shape, bias_shape, stride, padding, output_padding, groups, dilation)
    return (*x_shape[:-3], weight_shape[1] * groups, *window.input)


@operation()
def conv_transpose2d(
    x: Array, weight: Array, bias: Array | None = None, *,
    stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Array:  # fmt: skip
    """Transposed convolution: every input pixel paints the kernel, times its value, onto the output.

    ``y[n,o,r,q] = bias[o] + sum of weight[c, o mod O/G, k, l] * x[n,c,i,j]`` over the c of o's group and all (k,i), (l,j)
    with ``sh*i + dh*k - top == r`` and ``sw*j + dw*l - left == q``.

    Shape law: ``(N, C, H, W), (C, O/G, KH, KW) -> (N, O, H', W')`` with
    ``H' = sh*(H - 1) + dh*(KH - 1) + 1 + output_padding - top - bottom``; ``(C, H, W)`` gives ``(O, H', W')``.

    Arguments:
        x: ``(N, C, H, W)`` or ``(C, H, W)``.
        weight: ``(C, O/G, KH, KW)``, input channels first: the weight of the convolution that this is the adjoint of.
        bias: ``(O,)`` or ``None``.
        stride, dilation: int or ``(h, w)``, at least 1.
        padding: int, ``(h, w)`` or ``((top, bottom), (left, right))``: rows and columns to cut off.
        output_padding: int or ``(h, w)``: rows below and columns to the right to keep on; smaller than the stride or
            than the dilation.
        groups: G; divides C. Group ``g`` of the outputs sees only group ``g`` of the inputs.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: output padding is no zero padding: the kernel may reach into it, and the bias does. The arguments
    ``groups`` and ``dilation`` follow ``output_padding``, in PyTorch's order. Keras stores ``(KH, KW, O, C)``.

    Source: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016), chapter 4.

    >>> import numpy as np
    >>> conv_transpose2d(np.array([[[1.0, 2.0]]]), np.array([[[[1.0, 10.0, 100.0]]]]), stride=2)
    array([[[  1.,  10., 102.,  20., 200.]]])
    """
    name = "conv_transpose2d"
    window = _window(
        name, x.shape, weight.shape, shape_of(bias), stride, padding, output_padding, groups, dilation
    )  # fmt: skip
    y = correlate_adjoint(batched(name, x), contiguous(weight), window, groups, bias)
    return y if x.ndim == 4 else y[0]


@operation()
def conv_transpose2d_backward(
    grad_output: Array, x: Array, weight: Array, bias: Array | None = None, *,
    stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> ConvTranspose2dGrads:  # fmt: skip
    """The gradients of ``conv_transpose2d``: the convolution that it is the adjoint of, and its gradient of weight.

    With ``dy = grad_output``: ``dx`` is the convolution of ``dy`` with the same weight, stride, pads and dilation;
    ``dweight[c,o,k,l]`` the sum of ``x[n,c,i,j] * dy[...]`` over n, i, j; ``dbias[o]`` the sum of ``dy`` over its pixels.

    >>> import numpy as np
    >>> x, weight = np.array([[[1.0, 2.0]]]), np.array([[[[1.0, 10.0, 100.0]]]])
    >>> grads = conv_transpose2d_backward(np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), x, weight, stride=2)
    >>> grads.x, grads.weight
    (array([[[321., 543.]]]), array([[[[ 7., 10., 13.]]]]))
    """
    name = "conv_transpose2d_backward"
    window = _window(
        name, x.shape, weight.shape, shape_of(bias), stride, padding, output_padding, groups, dilation
    )  # fmt: skip
    check_grad_output(name, grad_output, (*x.shape[:-3], weight.shape[1] * groups, *window.input))
    dy = batched(name, grad_output)

    grad_bias = None if bias is None else correlate_bias(dy)  # (N, O, H', W') -> (O,)
    grad_weight, grad_x = at_once(
        [
            lambda: correlate_weight(batched(name, x), dy, window, groups),
            lambda: correlate(dy, contiguous(weight), window, groups),
        ],
        dy,
        products=x.size * weight[0].size,
    )
    return ConvTranspose2dGrads(grad_x if x.ndim == 4 else grad_x[0], grad_weight, grad_bias)


def _window(
    name: str, x: Sequence[int], weight: Sequence[int], bias: Sequence[int] | None,
    stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any,
) -> Window:  # fmt: skip
    """All the rules of the arguments, and the geometry of the convolution from the output back to the input."""
    check_image(name, x)
    if len(weight) != 4:
        raise ShapeError(f"{name}: weight must be (C, O/G, KH, KW), got shape {tuple(weight)}")
    (C, H, W), (C_of_weight, O_in_group, KH, KW) = x[-3:], weight
    groups = integer(name, "groups", groups, 1)
    if C % groups:
        raise ShapeError(f"{name}: x.shape[1] ({C}) must be divisible by groups ({groups})")
    if C_of_weight != C:
        raise ShapeError(f"{name}: weight.shape[0] ({C_of_weight}) must equal x.shape[1] ({C})")
    if bias is not None:
        check_shape(name, "bias", bias, (O_in_group * groups,), "(weight.shape[1] * groups,) =")
    strides, dilations = pair(name, "stride", stride), pair(name, "dilation", dilation)
    sides, more = pads(name, padding), pair(name, "output_padding", output_padding, 0)
    output = [
        _output_size(name, *of_axis)
        for of_axis in zip(("height", "width"), (H, W), (KH, KW), strides, dilations, sides, more, strict=True)
    ]
    return Window((output[0], output[1]), (H, W), (KH, KW), strides, dilations, sides)


def _output_size(
    name: str, axis: str, size: int, kernel: int, stride: int, dilation: int, pad: tuple[int, int], more: int
) -> int:
    """``stride*(size - 1) + dilation*(kernel - 1) + 1 + more - before - after`` for one axis."""
    if size < 1 or kernel < 1:
        raise ShapeError(f"{name}: the {axis} of x ({size}) and of weight ({kernel}) must be at least 1")
    if more >= max(stride, dilation):
        raise ShapeError(
            f"{name}: output_padding of the {axis} ({more}) must be smaller than its stride ({stride}) or its dilation "
            f"({dilation})"
        )
    output = stride * (size - 1) + dilation * (kernel - 1) + 1 + more - sum(pad)
    if output < 1:
        raise ShapeError(
            f"{name}: the output's {axis} ({stride} * ({size} - 1) + {dilation} * ({kernel} - 1) + 1 + {more} - "
            f"{pad[0]} - {pad[1]} = {output}) must be at least 1"
        )
    return output
