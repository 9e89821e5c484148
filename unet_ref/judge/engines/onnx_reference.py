"""``onnx.reference``, ONNX's own evaluator: forward, one node at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .onnx_nodes import NODES, model, node

DTYPES = ("float32", "float64")
LAYOUTS = ("contiguous",)


def version() -> str:
    """Of the library."""
    import onnx  # noqa: PLC0415

    return f"onnx.reference {onnx.__version__}"


def pair(name: str, layout: str, dtype: str) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:  # noqa: ARG001
    """Forward alone."""
    return (functools.partial(_forward, name) if name in NODES else None), None


def _forward(name: str, *arrays: Any, **options: Any) -> Any:
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    made = node(name, arrays, options)
    given = {key: value for key, value in made.inputs.items() if not key.startswith("absent")}
    (y,) = ReferenceEvaluator(model(made)).run(None, given)
    return np.array(y[0] if made.lone else y)
