"""An axis of an array, counted from the front or, negative, from the back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError
from .window import integer


def normal_axis(operation: str, axis: Any, shape: Sequence[int], name: str = "x") -> int:
    """``axis`` as an index from 0 on into ``shape``, which is the shape of ``name``."""
    number, ndim = integer(operation, "axis", axis, -(2**62)), len(shape)
    if not -ndim <= number < ndim:
        raise ShapeError(
            f"{operation}: axis ({number}) must be from {-ndim} to {ndim - 1}, as {name}.shape {tuple(shape)} "
            f"has {ndim} axes"
        )
    return number % ndim


def stretch(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    """The index of the elements from ``start`` to ``stop`` on ``axis``, a count from the front."""
    return (*(slice(None) for _ in range(axis)), slice(start, stop))
