"""The fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..backend import Array, namespace, on_device
from ..errors import ShapeError
from ..operation import operation
from ..spec.linear import LinearGrads
from .im2col import each, parts
from .window import check_grad_output, check_shape, contiguous, shape_of

BLOCK_BYTES = 1 << 18  # of rows of a matrix
SHORT, WIDE = 64, 512  # columns of a block: shorter pieces of rows would fall into the same places of the cache


def linear_shape(
    x_shape: Sequence[int], weight_shape: Sequence[int], bias_shape: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Shape law: the last axis goes from ``in`` to ``out``, all others stay.

    >>> linear_shape((4, 7, 3), (5, 3))
    (4, 7, 5)
    """
    return _output("linear", x_shape, weight_shape, bias_shape)


@operation()
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Fully connected layer: every output is a weighted sum of all the inputs.

    ``y[n,o] = bias[o] + sum over i of weight[o,i] * x[n,i]``

    Shape law: ``(..., in), (out, in) -> (..., out)``.

    Arguments:
        x: ``(..., in)``, with any leading axes or none; each row along the last axis is one sample.
        weight: ``(out, in)``, outputs first.
        bias: ``(out,)`` or ``None``.

    Raises
    ------
        ShapeError: sizes that do not fit, with the rule and the values.
        DTypeError: arrays of unlike dtype or device, integers, anything that is no array.

    Conventions: ``weight`` is ``(out, in)`` in PyTorch, ``(in, out)`` in Keras, Flax and the textbook's ``x @ W``.

    Source: Goodfellow, Bengio and Courville, *Deep Learning* (2016), chapter 6.

    >>> import numpy as np
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), np.array([0.0, 0.5, 0.0]))
    array([[11. , 17.5, 23. ]])
    """
    _output("linear", x.shape, weight.shape, shape_of(bias))
    # (..., in) @ (in, out) -> (..., out)
    y = _rows(x, contiguous(weight).T, max(1, BLOCK_BYTES // max(1, x.itemsize * weight.shape[1])))
    if bias is not None:
        y += bias
    return y


@operation()
def linear_backward(grad_output: Array, x: Array, weight: Array, bias: Array | None = None) -> LinearGrads:
    """The gradients of ``linear``: with ``dy = grad_output``,

    ``dx = dy @ weight``, ``dweight[o,i]`` the sum of ``dy[n,o] * x[n,i]`` and ``dbias[o]`` of ``dy[n,o]`` over n.

    >>> import numpy as np
    >>> x, weight = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[3.0, 4.0]])
    >>> linear_backward(np.array([[1.0], [-2.0]]), x, weight)
    LinearGrads(x=array([[ 3.,  4.],
           [-6., -8.]]), weight=array([[-5., -8.]]), bias=None)
    """
    name = "linear_backward"
    check_grad_output(name, grad_output, _output(name, x.shape, weight.shape, shape_of(bias)))
    (O, I), N = weight.shape, math.prod(x.shape[:-1])
    dy, rows = contiguous(grad_output).reshape(N, O), contiguous(x).reshape(N, I)

    grad_bias = None if bias is None else dy.sum(axis=0)  # (N, O) -> (O,)
    grad_weight = namespace(x).empty((O, I), dtype=x.dtype)

    def work(outputs: slice) -> None:
        namespace(x).matmul(dy[:, outputs].T, rows, out=grad_weight[outputs])  # (o, N) @ (N, I) -> (o, I)

    each(work, _blocks(O, WIDE, x), x, N * O * I)
    grad_x = _rows(dy, contiguous(weight), WIDE)  # (N, O) @ (O, I) -> (N, I)
    return LinearGrads(grad_x.reshape(x.shape), grad_weight, grad_bias)


def _rows(x: Array, matrix: Array, most: int) -> Array:
    """``x (..., K) @ matrix (K, M)``, one row at a time: one product of all rows may add in another order for each
    number of rows, and then a sample's bits would depend on its batch.

    ``most`` columns of the matrix at a time, which stay in the cache while one row after another meets them.
    """
    xp, (K, M) = namespace(x), matrix.shape
    N = math.prod(x.shape[:-1])
    rows, y = contiguous(x).reshape(N, 1, K), xp.empty((N, 1, M), dtype=x.dtype)

    def work(columns: slice) -> None:
        xp.matmul(rows, matrix[:, columns], out=y[:, :, columns])  # (N, 1, K) @ (K, m) -> (N, 1, m)

    each(work, _blocks(M, most, x), x, N * K * M)
    return y.reshape(*x.shape[:-1], M)


def _blocks(size: int, most: int, like: Array) -> list[slice]:
    return [slice(None)] if on_device(like) else parts(size, min(most, max(SHORT, -(-size // 2))))


def _output(
    name: str, x: Sequence[int], weight: Sequence[int], bias: Sequence[int] | None
) -> tuple[int, ...]:  # fmt: skip
    """All the rules of the arguments, and the output's shape."""
    if len(x) < 1:
        raise ShapeError(f"{name}: x must be (..., in), got shape {tuple(x)}")
    if len(weight) != 2:
        raise ShapeError(f"{name}: weight must be (out, in), got shape {tuple(weight)}")
    if x[-1] != weight[1]:
        raise ShapeError(f"{name}: x.shape[-1] ({x[-1]}) must equal weight.shape[1] ({weight[1]})")
    if bias is not None:
        check_shape(name, "bias", bias, weight[:1], "(weight.shape[0],) =")
    return (*x[:-1], weight[0])
