"""Passes over many numbers, in the form that NumPy is fast at: maxima, sums, and the blocks that they are cut into."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .arithmetic import real
from .backend import Array, namespace, on_device
from .masks import keep

ROW, SHORT = 4096, 16  # so many products at the most are added up in one go; where there are fewer, it does not pay
BLOCK_ELEMENTS = 1 << 18  # what passes over an image work on at a time: with fewer, threads wait for each other


def flat(x: Array) -> Array:
    """``x`` as one row of elements: functions see one layout, whatever the strides, and 0-d arrays stay arrays."""
    return namespace(x).ascontiguousarray(x).reshape(-1)


def negative_part(x: Array) -> Array:
    """``max(-x, 0)`` of a row of elements; of complex ones by the sign of the real part."""
    minus = -x
    return positive(minus, minus) if x.dtype.kind == "f" else keep(real(x) < 0, minus)


def positive(x: Array, out: Array) -> Array:
    """``max(x, 0)`` of a row of real numbers, NaN stays; ``out`` may be ``x``.

    NumPy's ``maximum`` takes an array of zeros five times as fast as the number 0.
    """
    if on_device(x):
        return namespace(x).maximum(x, x.dtype.type(0), out=out)
    zeros, whole = np.zeros(ROW, dtype=x.dtype), x.size // ROW * ROW
    np.maximum(x[:whole].reshape(-1, ROW), zeros, out=out[:whole].reshape(-1, ROW))
    np.maximum(x[whole:], zeros[: x.size - whole], out=out[whole:])
    return out


def may_be_nan(x: Array) -> bool:
    """Whether ``x`` may hold NaN or infinities: one pass, and no wait for a device, which may always."""
    if on_device(x) or x.dtype == object:
        return True
    return not np.isfinite(row_sums(x.reshape(1, -1) if x.flags.c_contiguous else x).sum())


def row_sums(x: Array, y: Array | None = None) -> Array:
    """``x (..., L)``, or ``x * y``, summed along the last axis: ``(..., 1)``.

    BLAS adds up products four times as fast as NumPy adds up numbers. Piece by piece, and then the pieces: so sums of
    many numbers are as exact as NumPy's, which halves them again and again.
    """
    if on_device(x) or x.dtype.char not in "fd" or x.shape[-1] < SHORT:
        return (x if y is None else x * y).sum(axis=-1, keepdims=True)
    factors = (x,) if y is None else (x, y)
    count, over = divmod(x.shape[-1], ROW)
    if count == 0:
        return _dots(*factors)[..., None]
    pieces = (array[..., : count * ROW].reshape(*array.shape[:-1], count, ROW) for array in factors)
    total = _dots(*pieces).sum(axis=-1)
    return (total + _dots(*(array[..., x.shape[-1] - over :] for array in factors)))[..., None]


def _dots(x: Array, y: Array | None = None) -> Array:
    """The dot product of each row of ``x (..., L)`` with that of ``y``, or with ones: ``(...)``."""
    return np.vecdot(x, np.ones(x.shape[-1], dtype=x.dtype) if y is None else y)


def blocks(items: int, size: int, like: Array) -> Iterator[slice]:
    """Slices of ``items`` things of ``size`` elements each, to be worked on one after another.

    On the CPU as many at a time as stay in the cache, so that only the first pass over them waits for the memory; on
    a GPU all of them, where a loop would leave the device idle.
    """
    step = max(1, BLOCK_ELEMENTS // max(1, size)) if not on_device(like) else max(1, items)
    for start in range(0, items, step):
        yield slice(start, min(start + step, items))
