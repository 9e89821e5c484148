"""Arrays laid end to end along an axis: how a skip connection joins the path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from ..backend import Array, namespace
from ..errors import DTypeError, ShapeError
from ..operation import operation
from .axis import normal_axis, stretch
from .window import check_grad_output


def concat_shape(shapes: Sequence[Sequence[int]], *, axis: int = 1) -> tuple[int, ...]:
    """Shape law: the sizes on the axis add up; all others are equal.

    >>> concat_shape([(2, 3, 8, 8), (2, 5, 8, 8)])
    (2, 8, 8, 8)
    """
    return _joined("concat", shapes, axis)[1]


@operation()
def concat(arrays: Sequence[Array], *, axis: int = 1) -> Array:
    """Concatenation: ``y[i,k,j] = arrays[a][i, k - start(a), j]`` for ``start(a) <= k < start(a + 1)``.

    ``start(a)`` is the sum of the sizes that the arrays before ``a`` have on the axis of k.

    Shape law: the sizes on the axis add up; all others are equal.

    Arguments:
        arrays: a list or tuple of at least one array; any rank but 0, the same for all. Empty ones take part.
        axis: 1, the channels of ``(N, C, H, W)``; images ``(C, H, W)`` are joined with ``axis=0``. Counted from the back
            where negative.

    Raises
    ------
        ShapeError: no array, an axis that they do not have, or sizes that differ elsewhere, with the array's index.
        DTypeError: arrays of unlike dtype or device, anything that is no list of arrays.

    Conventions: ``torch.cat`` and ``numpy.concatenate`` join along axis 0 by default; joining channels is what networks
    do. Which comes first, the skip or the upsampled path, is the network's choice, and the weights after it depend on it.

    Source: Ronneberger et al., *U-Net* (2015), for the use; the operation has no other.

    >>> import numpy as np
    >>> concat([np.array([[1.0, 2.0]]), np.array([[3.0]])])
    array([[1., 2., 3.]])
    """
    at, _, _ = _joined("concat", _shapes("concat", arrays), axis)
    return namespace(*arrays).concatenate(arrays, axis=at)


@operation()
def concat_backward(grad_output: Array, arrays: Sequence[Array], *, axis: int = 1) -> tuple[Array, ...]:
    """The gradients of ``concat``, a tuple: each array gets back the stretch of dy that it filled, as a copy.

    >>> import numpy as np
    >>> concat_backward(np.array([[5.0, 6.0, 7.0]]), [np.ones((1, 2)), np.ones((1, 1))])
    (array([[5., 6.]]), array([[7.]]))
    """
    name = "concat_backward"
    at, shape, starts = _joined(name, _shapes(name, arrays), axis)
    check_grad_output(name, grad_output, shape)
    return tuple(grad_output[stretch(at, start, stop)].copy() for start, stop in pairwise(starts))


def _shapes(name: str, arrays: Any) -> list[tuple[int, ...]]:
    if not isinstance(arrays, list | tuple):
        raise DTypeError(f"{name}: arrays must be a list or tuple of arrays, got {type(arrays).__name__}")
    return [array.shape for array in arrays]


def _joined(name: str, shapes: Sequence[Sequence[int]], axis: int) -> tuple[int, tuple[int, ...], list[int]]:
    """The axis counted from the front, the shape of the whole, and where on the axis each array starts, and the end."""
    if not shapes:
        raise ShapeError(f"{name}: arrays must hold at least one array, got none")
    like = tuple(shapes[0])
    at = normal_axis(name, axis, like, "arrays[0]")
    for k, shape in enumerate(shapes):
        if len(shape) != len(like) or (*shape[:at], *shape[at + 1 :]) != (*like[:at], *like[at + 1 :]):
            raise ShapeError(
                f"{name}: arrays[{k}].shape {tuple(shape)} must equal arrays[0].shape {like} except on axis {at}"
            )
    starts = [0, *accumulate(shape[at] for shape in shapes)]
    return at, (*like[:at], starts[-1], *like[at + 1 :]), starts
