"""The package's own operations on a device: CuPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ... import ops
from ..mistake import by_name
from .arguments import named

DTYPES = ("float32", "float64", "float16")
LAYOUTS = ("contiguous",)


def version() -> str:
    """Of the library; ``ImportError`` where there is no device."""
    import cupy  # noqa: PLC0415

    try:
        cupy.zeros(1)
    except Exception as error:  # noqa: BLE001  a type for each way to have no device
        raise ImportError(f"cupy: no device: {error}") from None
    return f"CuPy {cupy.__version__}"


def pair(name: str, layout: str, dtype: str) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:  # noqa: ARG001
    """Forward and backward."""
    backward = functools.partial(_backward, name) if hasattr(ops, f"{name}_backward") else None
    return functools.partial(_forward, name), backward


def _forward(name: str, *arrays: Any, **options: Any) -> Any:
    return _host(getattr(ops, name)(*map(_device, arrays), **options))


def _backward(name: str, grad_output: Any, *arrays: Any, **options: Any) -> dict[str, Any]:
    grads = getattr(ops, f"{name}_backward")(_device(grad_output), *map(_device, arrays), **options)
    return {key: _host(value) for key, value in by_name(grads, named(name, arrays)).items()}


def _device(value: Any) -> Any:
    import cupy  # noqa: PLC0415

    if isinstance(value, tuple | list):
        return tuple(map(_device, value))
    return None if value is None else cupy.asarray(value)


def _host(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_host, value))
    return value.get()
