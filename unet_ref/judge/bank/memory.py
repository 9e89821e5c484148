"""Arrays as they lie in memory: what a kernel sees that takes any array for contiguous."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided


def spanned(array: Any) -> Any:
    """All elements between the first and the last of an array, gaps too, in one row; ``None`` where it runs backwards."""
    steps = _steps(array)
    if steps is None or array.size == 0:
        return None
    count = 1 + sum((size - 1) * step for size, step in zip(array.shape, steps, strict=True))
    return as_strided(array, (count,), (array.itemsize,))


def _steps(array: Any) -> list[int] | None:
    """The strides in elements; ``None`` where one is negative or no whole number of elements."""
    if any(stride < 0 or stride % array.itemsize for stride in array.strides):
        return None
    return [stride // array.itemsize for stride in array.strides]


def misread(array: Any) -> Any:
    """The array that the memory holds for someone who does not look at the strides; ``None`` where that is itself.

    Where an array has fewer elements in memory than it seems (one stretched by a stride of zero), nobody knows.
    """
    row, count = spanned(array), math.prod(array.shape)
    if array.flags.c_contiguous or row is None or len(row) < count:
        return None
    return row[:count].reshape(array.shape).copy()


def cast(array: Any, dtype: Any) -> Any:
    """The array in another dtype, laid out as before, gaps and all."""
    row, steps = spanned(array), _steps(array)
    if array.flags.c_contiguous or row is None or steps is None:
        return array.astype(dtype)
    memory = row.astype(dtype)
    return as_strided(memory, array.shape, [step * memory.itemsize for step in steps])


def channels_last(array: Any) -> Any:
    """An image's elements in the order ``(N, H, W, C)``, under its own shape."""
    return np.moveaxis(array, -3, -1).reshape(array.shape)


def channels_first(array: Any) -> Any:
    """The reverse: what is read as ``(N, H, W, C)`` is there, under its own shape."""
    *lead, C, H, W = array.shape
    return np.moveaxis(array.reshape(*lead, H, W, C), -1, -3)
