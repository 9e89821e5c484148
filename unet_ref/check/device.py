"""Functions on CuPy arrays, checked from the host: arrays go to the device and results come back around each call.

Then the checker itself runs on NumPy alone, and what it says of the device's results does not depend on the device.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OnDevice:
    """``function`` for NumPy arrays, computed on the device."""

    function: Callable[..., Any]

    def __call__(self, *arrays: Any) -> Any:
        """Send, compute, fetch."""
        import cupy  # noqa: PLC0415 - only whoever has CuPy arrays gets here, in a worker too

        return fetched(self.function(*(cupy.asarray(a) if hasattr(a, "dtype") else a for a in arrays)))


def is_on_device(array: Any) -> bool:
    """Whether it is a CuPy array; asked without importing CuPy."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(array, cupy.ndarray)


def fetched(value: Any) -> Any:
    """Arrays of the device as NumPy arrays, inside tuples, lists, dicts and named tuples too."""
    if is_on_device(value):
        return value.get()
    if isinstance(value, Mapping):
        return {key: fetched(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [fetched(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
