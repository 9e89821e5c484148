"""Functions of single elements, on arrays of any shape and size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, TypeVar

from ..backend import Array, namespace, on_device
from ..passes import flat
from ..threads import parallel
from .im2col import parts

T = TypeVar("T")

# Elements of a piece. Threads wait for the interpreter after each pass, and should have long ones: so those of a function
# of few passes, which memory keeps waiting anyway, have longer pieces than others. One thread alone has a quarter of that,
# so that temporaries of many passes stay in its cache, and are not memory that the system hands out anew for each.
FEW_PASSES, MANY_PASSES = 1 << 20, 1 << 17


def each(function: Callable[..., Array], *arrays: Array) -> Array:
    """``function`` of the elements of arrays of one shape: see ``each_of``."""
    return each_of(1, lambda *rows: (function(*rows),), *arrays)[0]


def each_of(results: int, function: Callable[..., tuple[Array, ...]], *arrays: Array) -> list[Array]:
    """So many results of a function of the elements of arrays of one shape, which it gets as rows.

    Row-major and contiguous, so that no element's bits depend on strides, and piece by piece, so that what the function
    computes in between stays in the cache; the threads share out the pieces. Results are fresh, 0-d arrays stay arrays.
    """
    found = [namespace(arrays[0]).empty(arrays[0].shape, dtype=arrays[0].dtype) for _ in range(results)]
    fill(found, function, *arrays)
    return found


def fill(results: list[Array], function: Callable[..., tuple[Array, ...]], *arrays: Array) -> None:
    """The same, into arrays that are there already."""
    count = len(results)

    def work(*rows: Array) -> None:
        for result, value in zip(rows[:count], function(*map(flat, rows[count:])), strict=True):
            result[...] = value.reshape(result.shape)

    in_pieces(work, *results, *arrays)


def in_pieces(work: Callable[..., T], *arrays: Array, most: int = MANY_PASSES) -> list[T]:
    """What ``work`` says to each piece of arrays of one shape: ``work(piece of the first, piece of the second, ...)``.

    Where a piece ends follows from that shape; it has up to ``most`` elements. It is a view: to write to it is to write
    to the array. The threads share the pieces if there are two or more of that size.
    """
    views = [array.reshape(-1) for array in arrays] if all(a.flags.c_contiguous for a in arrays) else list(arrays)
    alone = views[0].size < 2 * most
    cuts = pieces(views[0], most // 4 if alone else most)
    said: list[Any] = [None] * len(cuts)

    def one(number: int) -> None:
        said[number] = work(*(view[cuts[number]] for view in views))

    if alone:
        for number in range(len(cuts)):
            one(number)
    else:
        parallel(one, range(len(cuts)))
    return said


def pieces(x: Array, most: int) -> list[Any]:
    """Indices that cut ``x`` into pieces of like sizes; on a GPU, where a loop would leave the device idle, into one."""
    if x.size == 0:
        return []
    if on_device(x) or x.size <= most:
        return [...]
    cut = next(axis for axis in range(x.ndim) if math.prod(x.shape[axis + 1 :]) <= most)
    runs = parts(x.shape[cut], most // math.prod(x.shape[cut + 1 :]))
    return [(*lead, run) for lead in itertools.product(*map(range, x.shape[:cut])) for run in runs]
