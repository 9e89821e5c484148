"""The same numbers elsewhere in memory: what a kernel that trusts in row-major order reads wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...backend import Array
from ...check.layouts import strided
from ..mistake import Arguments


def channels_last(array: Array) -> Array:
    """Images with the channels of a pixel side by side: PyTorch's ``channels_last``."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if array.ndim == 4 else array


def expanded(array: Array, keep: int) -> Array:
    """An array that does not depend on its axes from ``keep`` on, and takes no step in memory along them."""
    first = np.ascontiguousarray(array[(..., *(slice(0, 1) for _ in array.shape[keep:]))])
    strides = (*first.strides[:keep], *(0 for _ in array.shape[keep:]))
    return np.lib.stride_tricks.as_strided(first, array.shape, strides)


def repeated(array: Array) -> Array:
    """A batch that is one sample over and over, in the memory of one."""
    first = np.ascontiguousarray(array[:1])
    return np.lib.stride_tricks.as_strided(first, array.shape, (0, *first.strides[1:]))


Place = Callable[[Array], Array]

LAYOUTS: dict[str, tuple[Place, Place, Place]] = {
    "contiguous": (np.ascontiguousarray, np.ascontiguousarray, np.ascontiguousarray),
    "channels last": (channels_last, channels_last, channels_last),
    "strided": (strided, strided, strided),
    "sum upstream": (np.ascontiguousarray, np.ascontiguousarray, lambda array: expanded(array, 0)),
    "mean upstream": (np.ascontiguousarray, np.ascontiguousarray, lambda array: expanded(array, min(2, array.ndim))),
    "repeated sample": (repeated, np.ascontiguousarray, repeated),
}
"""For every layout, what it does to the first argument, to the others, and to the upstream gradient.

``sum upstream`` is the gradient that ``y.sum()`` sends back, one number in one place; ``mean upstream`` that of a mean
over the pixels, a number for every channel of every sample.
"""


def laid_out(arguments: Arguments, layout: str) -> Arguments:
    """The same call with its arrays laid out anew; only zero strides change numbers, where they make them alike."""
    of_first, of_others, of_upstream = LAYOUTS[layout]
    first, *others = arguments.arrays
    arrays = {first: _placed(of_first, arguments.arrays[first])}
    arrays |= {name: _placed(of_others, arguments.arrays[name]) for name in others}
    return arguments._replace(arrays=arrays, grad_output=_placed(of_upstream, arguments.grad_output))


def _placed(place: Place, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_placed(place, item) for item in value)
    return value if value is None or value.ndim == 0 else place(value)
