"""The two backends, NumPy and CuPy: which of them an array belongs to, its dtype, and how NumPy is set.

Everything else asks ``namespace(array)`` for ``numpy`` or ``cupy`` and writes ``xp.name``. CuPy is never imported
here: whoever hands us a CuPy array has imported it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from .errors import DTypeError

Array: TypeAlias = Any  # a NumPy or a CuPy array: no static type covers both

# float16 .. longdouble, complex for complex steps, object for exact scalars
DTYPES = ("e", "f", "d", "g", "F", "D", "O")

BUFFER = 1024  # elements: what takes longer than a row of so many does not notice


def namespace(*arrays: Any) -> Any:
    """``numpy`` or ``cupy``, whichever the arrays belong to; a mixture is refused."""
    cupy = sys.modules.get("cupy")
    found = {}
    for array in arrays:
        if isinstance(array, np.ndarray):
            found["numpy"] = np
        elif cupy is not None and isinstance(array, cupy.ndarray):
            found["cupy"] = cupy
        elif array is not None:
            raise DTypeError(f"expected a NumPy or CuPy array, got {type(array).__name__}")
    if len(found) > 1:
        raise DTypeError("all arrays must be on one device, got NumPy and CuPy arrays together")
    return next(iter(found.values()), np)


def on_device(x: Array) -> bool:
    """Whether ``x`` lies on a GPU, which a few large pieces of work suit, and threads of the host do not."""
    return not isinstance(x, np.ndarray)


def check_arrays(operation: str, named: Iterable[tuple[str, Any]]) -> Any:
    """The dtype that all the named arrays share; ``DTypeError`` for anything that would need a silent cast."""
    present = list(named)
    for name, array in present:
        try:
            namespace(array)
            dtype = array.dtype  # None has none
        except (AttributeError, DTypeError):
            raise DTypeError(f"{operation}: {name} must be a NumPy or CuPy array, got {type(array).__name__}") from None
        if dtype.char not in DTYPES or not dtype.isnative:
            raise DTypeError(
                f"{operation}: {name}.dtype ({dtype}) must be float16, float32, float64, longdouble, complex64, "
                f"complex128 or object, in native byte order"
            )
    if len({isinstance(array, np.ndarray) for _, array in present}) > 1:
        raise DTypeError(f"{operation}: {_listed(present, 'device')}: all arrays must be on one device")
    if len({array.dtype for _, array in present}) > 1:
        raise DTypeError(f"{operation}: {_listed(present, 'dtype')}: all arrays must have one dtype")
    return present[0][1].dtype if present else None


def _listed(present: list[tuple[str, Any]], what: str) -> str:
    def value(array: Any) -> Any:
        return array.dtype if what == "dtype" else ("cpu" if isinstance(array, np.ndarray) else "gpu")

    return ", ".join(f"{name}.{what} is {value(array)}" for name, array in present)


def nothing(dtype: Any) -> Array:
    """An array of NumPy's without elements, to say a dtype where an array says it."""
    return np.empty(0, dtype=dtype)


def quiet() -> contextlib.AbstractContextManager[Any]:
    """Floating-point warnings off (CuPy has none)."""
    return np.errstate(all="ignore")


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """How the operations want NumPy, in this thread and in its helpers: quiet, and with short buffers.

    Where one factor belongs to a whole row, NumPy writes it out to a buffer again and again if the buffer is longer than
    the row: three passes for one.
    """
    with quiet():
        before = np.setbufsize(BUFFER)
        try:
            yield
        finally:
            np.setbufsize(before)
