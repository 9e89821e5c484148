"""What the definitions share: arrays as plain containers of scalars, indices, and windows."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from .scalar import divide

P = ParamSpec("P")
R = TypeVar("R")
Tensor = NDArray[np.object_]


def indices(*sizes: int) -> Iterator[tuple[int, ...]]:
    """All index tuples below ``sizes``, row-major: ``for c, k, l in indices(C, KH, KW)``."""
    return itertools.product(*map(range, sizes))


def tensor(shape: tuple[int, ...], entry: Callable[..., Any]) -> Tensor:
    """The array whose element at ``index`` is ``entry(*index)``."""
    result = np.empty(shape, dtype=object)
    for index in indices(*shape):
        result[index] = entry(*index)
    return result


def pair(value: Any) -> tuple[Any, Any]:
    """An int means the same for height and width."""
    return (value, value) if np.isscalar(value) else tuple(value)


def pads(padding: Any, kernel: tuple[int, int] = (1, 1), dilation: Any = 1) -> tuple[tuple[int, int], tuple[int, int]]:
    """``((top, bottom), (left, right))`` from any of the forms that ``padding`` has.

    ``"same"`` pads ``dilation * (kernel - 1)`` in all; an odd one out goes below and to the right.
    """
    if padding == "valid":
        padding = 0
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(pair(dilation), kernel, strict=True)]
        return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)
    vertical, horizontal = (pair(side) for side in pair(padding))
    return vertical, horizontal


def mean(terms: list[Any]) -> Any:
    """The mean of scalars, exact for exact ones; of none NaN, as in PyTorch."""
    return divide(sum(terms), len(terms)) if terms else math.nan


def positions(
    size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int = 1, ceil_mode: bool = False
) -> int:
    """How many windows a pooling has along an axis: as many as end on the padded image.

    In ceil mode the last one may hang over the end, but it must start on the image or before it.
    """
    before, after = pad
    room = size + before + after - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    last = -(-room // stride)
    return last + 1 if stride * last < size + before else last


def definition(function: Callable[P, R]) -> Callable[P, R]:
    """Arguments before ``*`` become arrays of Python scalars; results get the dtype of the first one back.

    Lists are taken as arrays of exact scalars, and give ``object`` arrays.
    """
    signature = inspect.signature(function)
    arrays = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(function)
    def lifted(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        dtype = None
        for name in arrays:
            if bound.arguments.get(name) is not None:
                dtype = dtype or _dtype(bound.arguments[name])
                bound.arguments[name] = _lift(bound.arguments[name])
        result: R = _lower(function(*bound.args, **bound.kwargs), dtype)
        return result

    return lifted


def _dtype(value: Any) -> Any:
    if isinstance(value, tuple | list) and value and isinstance(value[0], np.ndarray):
        return value[0].dtype  # a list of arrays: concat
    return getattr(value, "dtype", np.dtype(object))


def _lift(value: Any) -> Any:
    if isinstance(value, tuple | list) and value and isinstance(value[0], np.ndarray):
        return tuple(_lift(item) for item in value)
    lifted = np.empty(np.shape(value), dtype=object)
    lifted[...] = np.asarray(value, dtype=object)
    return lifted


def _lower(value: Any, dtype: Any) -> Any:
    if isinstance(value, tuple):
        items = [_lower(item, dtype) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value if value is None else np.asarray(value, dtype=object).astype(dtype)
