"""What every array operation has in common: its arrays are checked, NumPy is set, float16 computes in float32."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .backend import check_arrays, settings

P = ParamSpec("P")
R = TypeVar("R")


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
                wide = [cast(value, "float32") for value in args]
                wide_kwargs = {n: cast(v, "float32") if n in arrays else v for n, v in kwargs.items()}
                result: R = cast(function(*wide, **wide_kwargs), "float16")
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


def cast(value: Any, dtype: str) -> Any:
    """``value`` with its floating arrays cast, inside tuples, lists and named tuples too."""
    if isinstance(value, tuple | list):
        items = [cast(item, dtype) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if value is None or not hasattr(value, "dtype") or value.dtype.kind != "f":
        return value
    return value.astype(dtype)
