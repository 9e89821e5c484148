"""Choices by a mask, element by element, in the form that NumPy is fast at: through the bits of the numbers."""

from __future__ import annotations

import numpy as np

from .arithmetic import constant
from .backend import Array, namespace, on_device


def keep(mask: Array, x: Array, out: Array | None = None) -> Array:
    """``x`` where ``mask`` holds, zero elsewhere: ``where(mask, x, 0)``, infinity and NaN dropped too.

    NumPy's ``where`` branches at every element, and random masks make it wait ten times as long as for the memory.
    There the bits of ``x`` meet a mask of all ones or all zeros instead. ``out`` may be ``x``.
    """
    bits = _bits(x)
    out = namespace(x).empty_like(x) if out is None else out
    if bits is None:
        out[...] = namespace(x).where(mask, x, constant(0, x))
    else:
        np.bitwise_and(x.view(bits), -mask.view("int8"), out=out.view(bits))
    return out


def select(mask: Array, x: Array, y: Array) -> Array:
    """``where(mask, x, y)`` for two arrays of one dtype, as fast as ``keep``."""
    if _bits(x) is None:
        return namespace(x).where(mask, x, y)
    chosen: Array = keep(mask, x)
    bits = _bits(x)
    chosen.view(bits)[...] |= keep(~mask, y).view(bits)
    return chosen


def or_one(mask: Array, x: Array) -> Array:
    """``where(mask, 1, x)``, for an ``x`` that is nowhere above 1."""
    xp = namespace(x)
    return xp.maximum(x, mask) if x.dtype.kind == "f" else select(mask, xp.ones_like(x), x)


def _bits(x: Array) -> str | None:
    """The integers that can hold the bits of NumPy's ``x``; ``None`` where ``where`` has to do."""
    names = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}
    return names.get(x.dtype.itemsize) if x.dtype != object and not on_device(x) else None


def first(mask: Array) -> tuple[int, ...] | None:
    """The index of the first True, or ``None``; on a GPU always ``None``, where to look would be to wait for it."""
    if on_device(mask) or not mask.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(mask.argmax()), mask.shape))
