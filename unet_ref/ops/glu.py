"""The gated linear unit: one half of an axis, gated by the sigmoid of the other."""

from __future__ import annotations

from collections.abc import Sequence

from ..backend import Array, namespace
from ..errors import ShapeError
from ..operation import operation
from ..spec.glu import GluGrads
from .axis import normal_axis, stretch
from .elementwise import each, fill
from .sigmoid import sigma, sigma_slope
from .window import check_grad_output


def glu_shape(x_shape: Sequence[int], *, axis: int = -1) -> tuple[int, ...]:
    """Shape law: the axis halves, and its size must be even.

    >>> glu_shape((2, 6, 5), axis=1)
    (2, 3, 5)
    """
    at, K = _half("glu", x_shape, axis)
    return (*x_shape[:at], K, *x_shape[at + 1 :])


@operation()
def glu(x: Array, *, axis: int = -1) -> Array:
    """Gated linear unit: ``y[i,k,j] = x[i,k,j] * sigmoid(x[i,K+k,j])`` where the axis of k has 2K elements in x.

    Shape law: the axis halves: ``(2, 6, 5)`` gives ``(2, 3, 5)`` with ``axis=1``.

    Arguments:
        x: any shape but ``()``.
        axis: the axis to halve, counted from the back where negative.

    Raises
    ------
        ShapeError: an axis that x does not have, or one of odd size.
        DTypeError: an array of integers, anything that is no array.

    Conventions: the first half is the value and the second the gate, as everywhere. PyTorch's default is the last axis,
    which for images is the width, not the channels.

    Source: Dauphin et al., *Language modeling with gated convolutional networks* (2017).

    >>> import numpy as np
    >>> glu(np.array([6.0, 8.0, 0.0, 1000.0]))
    array([3., 8.])
    """
    at, K = _half("glu", x.shape, axis)
    value, gate = x[stretch(at, 0, K)], x[stretch(at, K, 2 * K)]
    return each(lambda value, gate: value * sigma(gate), value, gate)


@operation()
def glu_backward(grad_output: Array, x: Array, *, axis: int = -1) -> GluGrads:
    """The gradient of ``glu``, with ``s`` the sigmoid of the second half.

    First half: ``dx = dy * s``; second half: ``dx = dy * (first half of x) * s * (1 - s)``.

    >>> import numpy as np
    >>> glu_backward(np.array([1.0]), np.array([8.0, 0.0])).x
    array([0.5, 2. ])
    """
    at, K = _half("glu_backward", x.shape, axis)
    check_grad_output("glu_backward", grad_output, (*x.shape[:at], K, *x.shape[at + 1 :]))
    value, gate = x[stretch(at, 0, K)], x[stretch(at, K, 2 * K)]
    grad_x = namespace(x).empty(x.shape, dtype=x.dtype)
    grad_value, grad_gate = grad_x[stretch(at, 0, K)], grad_x[stretch(at, K, 2 * K)]

    def both(dy: Array, value: Array, gate: Array) -> tuple[Array, Array]:
        return dy * sigma(gate), dy * value * sigma_slope(gate)

    fill([grad_value, grad_gate], both, grad_output, value, gate)
    return GluGrads(grad_x)


def _half(name: str, x_shape: Sequence[int], axis: int) -> tuple[int, int]:
    """The axis counted from the front, and half its size."""
    at = normal_axis(name, axis, x_shape)
    if x_shape[at] % 2:
        raise ShapeError(f"{name}: x.shape[{at}] ({x_shape[at]}) must be even, to be halved along axis {axis}")
    return at, x_shape[at] // 2
