"""Arrays laid end to end along an axis, and the split that takes a gradient apart again."""

from __future__ import annotations

from typing import Any

from .index import Tensor, definition, tensor


@definition
def concat(arrays: tuple[Tensor, ...], *, axis: int = 1) -> Tensor:
    """y[i,k,j] = arrays[a][i, k - start(a), j]  for  start(a) <= k < start(a + 1)

    where ``start(a)`` is the sum of the sizes that the arrays before ``a`` have on the axis of k.
    """
    axis = axis % arrays[0].ndim
    owners = [(a, k) for a, array in enumerate(arrays) for k in range(array.shape[axis])]  # whose, and which of it

    def y(*index: int) -> Any:
        a, k = owners[index[axis]]
        return arrays[a][(*index[:axis], k, *index[axis + 1 :])]

    return tensor((*arrays[0].shape[:axis], len(owners), *arrays[0].shape[axis + 1 :]), y)


@definition
def concat_backward(grad_output: Tensor, arrays: tuple[Tensor, ...], *, axis: int = 1) -> tuple[Tensor, ...]:
    """darrays[a][i,k,j] = dy[i, start(a) + k, j]: each array gets back the stretch that it filled."""
    axis = axis % arrays[0].ndim
    starts = [sum(array.shape[axis] for array in arrays[:a]) for a in range(len(arrays))]

    def piece(start: int, shape: tuple[int, ...]) -> Tensor:
        return tensor(shape, lambda *index: grad_output[*index[:axis], start + index[axis], *index[axis + 1 :]])

    return tuple(piece(start, array.shape) for start, array in zip(starts, arrays, strict=True))
