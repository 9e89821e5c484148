"""Functions of single elements, on arrays of any shape and size."""

from __future__ import annotations

from collections.abc import Callable

from ..backend import Array, blocks, flat, namespace


def each(function: Callable[..., Array], *arrays: Array) -> Array:
    """``function`` of the elements of arrays of one shape: see ``each_of``."""
    return each_of(1, lambda *rows: (function(*rows),), *arrays)[0]


def each_of(results: int, function: Callable[..., tuple[Array, ...]], *arrays: Array) -> list[Array]:
    """So many results of a function of the elements of arrays of one shape, which it gets as rows.

    Row-major and contiguous, so that no element's bits depend on strides, and block by block, so that what the function
    computes in between stays in the cache. Results are fresh, 0-d arrays stay arrays.

    On one thread: a function is many short passes, and after each, threads would wait for the interpreter.
    """
    like, rows = arrays[0], [flat(array) for array in arrays]
    found = [namespace(like).empty_like(rows[0]) for _ in range(results)]
    for part in blocks(like.size, like.itemsize, like):
        for result, value in zip(found, function(*(row[part] for row in rows)), strict=True):
            result[part] = value
    return [result.reshape(like.shape) for result in found]
