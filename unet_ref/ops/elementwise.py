"""Functions of single elements, on arrays of any shape and size."""

from __future__ import annotations

from collections.abc import Callable

from ..backend import Array, blocks, flat, namespace


def each(function: Callable[..., Array], *arrays: Array) -> Array:
    """``function`` of the elements of arrays of one shape, which it gets as rows.

    Row-major and contiguous, so that no element's bits depend on strides, and block by block, so that what the function
    computes in between stays in the cache. The result is fresh, 0-d arrays stay arrays.
    """
    like, rows = arrays[0], [flat(array) for array in arrays]
    result = namespace(like).empty_like(rows[0])
    for part in blocks(like.size, 1, like):
        result[part] = function(*(row[part] for row in rows))
    return result.reshape(like.shape)
