"""The one module that knows that there are two backends.

Everything else asks ``namespace(array)`` for ``numpy`` or ``cupy`` and writes ``xp.name``. CuPy is never imported
here: whoever hands us a CuPy array has imported it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

from .errors import DTypeError
from .spec import scalar

Array: TypeAlias = Any  # a NumPy or a CuPy array: no static type covers both

P = ParamSpec("P")
R = TypeVar("R")

# float16 .. longdouble, complex for complex steps, object for exact scalars
DTYPES = ("e", "f", "d", "g", "F", "D", "O")

BUFFER = 1024  # elements: what takes longer than a row of so many does not notice
ROW, SHORT = 4096, 16  # so many products at the most are added up in one go; where there are fewer, it does not pay
BLOCK_ELEMENTS = 1 << 18  # what passes over an image work on at a time: with fewer, threads wait for each other


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


def operation(*, indices: tuple[str, ...] = ()) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """What every array operation has in common, said once.

    The arguments before ``*`` are arrays (or lists of arrays): they are checked for kind, device and dtype. float16
    computes in float32 and rounds once, at the end. Overflow and NaN go into the result, as in PyTorch, not into
    warnings. ``indices`` names the arguments that hold integers (the target of ``cross_entropy``).
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters.values()
        arrays = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        optional = [p.name for p in parameters if p.default is None]
        label = function.__name__

        @functools.wraps(function)
        def checked(*given_args: P.args, **given_kwargs: P.kwargs) -> R:
            args: Any = [_array(value) for value in given_args]
            kwargs: Any = {name: _array(value) if name in arrays else value for name, value in given_kwargs.items()}
            given = [*zip(arrays, args, strict=False), *((name, kwargs[name]) for name in arrays if name in kwargs)]
            given = [(name, value) for name, value in given if value is not None or name not in optional]
            dtype = check_arrays(label, _flat((name, value) for name, value in given if name not in indices))
            with settings():
                if dtype is None or dtype.char != "e":
                    return function(*args, **kwargs)
                wide = [_cast(value, "float32") for value in args]
                wide_kwargs = {n: _cast(v, "float32") if n in arrays else v for n, v in kwargs.items()}
                result: R = _cast(function(*wide, **wide_kwargs), "float16")
                return result

        return checked

    return decorate


def _array(value: Any) -> Any:
    """NumPy's scalars, which its arithmetic makes of 0-d arrays, are 0-d arrays (the gradient of a loss is one)."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def _flat(named: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    for name, value in named:
        if isinstance(value, tuple | list):
            yield from ((f"{name}[{k}]", item) for k, item in enumerate(value))
        else:
            yield name, value


def _cast(value: Any, dtype: str) -> Any:
    """``value`` with its floating arrays cast, inside tuples, lists and named tuples too."""
    if isinstance(value, tuple | list):
        items = [_cast(item, dtype) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if value is None or not hasattr(value, "dtype") or value.dtype.kind != "f":
        return value
    return value.astype(dtype)


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


# --- shims: what NumPy does not do for exact scalars, or CuPy does otherwise ---------------------------------------


def elementwise(function: Callable[..., Any], *arrays: Array) -> Array:
    """A scalar function on object arrays."""
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object)


def divide(total: Array, count: Any) -> Array:
    """``total / count``, an int or an array of ints; for exact scalars exactly (Python would divide two ints to a float)."""
    if total.dtype == object:
        return elementwise(scalar.divide, total, count)
    real_type = total.real.dtype
    return total / (real_type.type(count) if isinstance(count, int) else count.astype(real_type))


def sqrt(x: Array) -> Array:
    """Square root; for exact scalars exact, or an error where the root is irrational."""
    return elementwise(scalar.sqrt, x) if x.dtype == object else namespace(x).sqrt(x)


def exp(x: Array) -> Array:
    """E to the x."""
    return elementwise(scalar.exp, x) if x.dtype == object else namespace(x).exp(x)


def log(x: Array) -> Array:
    """The natural logarithm."""
    return elementwise(scalar.log, x) if x.dtype == object else namespace(x).log(x)


def pi(x: Array) -> Any:
    """Pi as a scalar of the precision of ``x``."""
    if x.dtype == object:
        return scalar.pi(x.flat[0] if x.size else 0)
    return x.dtype.type("3.14159265358979323846264338327950288" if x.dtype.char == "g" else math.pi)


def special(x: Array) -> Any:
    """``scipy.special``, or what CuPy has of it; loaded when first asked for."""
    return importlib.import_module("scipy.special" if namespace(x) is np else "cupyx.scipy.special")


def first(mask: Array) -> tuple[int, ...] | None:
    """The index of the first True, or ``None``; on a GPU always ``None``, where to look would be to wait for it."""
    if namespace(mask) is not np or not mask.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(mask.argmax()), mask.shape))


def flat(x: Array) -> Array:
    """``x`` as one row of elements: functions see one layout, whatever the strides, and 0-d arrays stay arrays."""
    return namespace(x).ascontiguousarray(x).reshape(-1)


def root(value: Any, x: Array) -> Any:
    """The square root of one scalar that goes with ``x``: of ``constant(2, x)``, of ``pi(x)``."""
    return scalar.sqrt(value) if x.dtype == object else np.sqrt(value)


def constant(value: float | Fraction, x: Array) -> Any:
    """``value`` as a scalar that meets the elements of ``x`` without changing their type."""
    if x.dtype == object:
        return scalar.constant(value, x.flat[0] if x.size else 0)
    if x.dtype.char == "g" and isinstance(value, Fraction):  # a longdouble holds more of 1/3 than a float
        return x.dtype.type(value.numerator) / x.dtype.type(value.denominator)
    return x.dtype.type(float(value))


def nothing(dtype: Any) -> Array:
    """An array of NumPy's without elements, to say a dtype where an array says it."""
    return np.empty(0, dtype=dtype)


def real(x: Array) -> Array:
    """What comparisons go by: the real part of complex arrays, so that a whole network can be stepped."""
    return x.real if x.dtype.kind == "c" else x


# --- passes over many numbers, in the form that NumPy is fast at ---------------------------------------------------


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


def negative_part(x: Array) -> Array:
    """``max(-x, 0)`` of a row of elements; of complex ones by the sign of the real part."""
    minus = -x
    return positive(minus, minus) if x.dtype.kind == "f" else keep(real(x) < 0, minus)


def _bits(x: Array) -> str | None:
    """The integers that can hold the bits of NumPy's ``x``; ``None`` where ``where`` has to do."""
    names = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}
    return names.get(x.dtype.itemsize) if isinstance(x, np.ndarray) and x.dtype != object else None


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


# --- what a host and a device do differently -----------------------------------------------------------------------


def on_device(x: Array) -> bool:
    """Whether ``x`` lies on a GPU, which a few large pieces of work suit, and threads of the host do not."""
    return not isinstance(x, np.ndarray)


def blocks(items: int, size: int, like: Array) -> Iterator[slice]:
    """Slices of ``items`` things of ``size`` elements each, to be worked on one after another.

    On the CPU as many at a time as stay in the cache, so that only the first pass over them waits for the memory; on
    a GPU all of them, where a loop would leave the device idle.
    """
    step = max(1, BLOCK_ELEMENTS // max(1, size)) if isinstance(like, np.ndarray) else max(1, items)
    for start in range(0, items, step):
        yield slice(start, min(start + step, items))
