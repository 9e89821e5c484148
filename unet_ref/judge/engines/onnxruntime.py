"""ONNX Runtime on the CPU: forward, one node at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .onnx_nodes import NODES, model, node

DTYPES = ("float32", "float64", "float16")
LAYOUTS = ("contiguous",)
REFUSALS = ("NotImplemented", "InvalidGraph", "InvalidArgument")  # no such kernel, dtype or option


def version() -> str:
    """Of the library."""
    import onnxruntime  # noqa: PLC0415

    return f"ONNX Runtime {onnxruntime.__version__}"


def pair(name: str, layout: str, dtype: str) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:  # noqa: ARG001
    """Forward alone."""
    return (functools.partial(_forward, name) if name in NODES else None), None


def _forward(name: str, *arrays: Any, **options: Any) -> Any:
    import onnxruntime  # noqa: PLC0415

    made = node(name, arrays, options)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model(made).SerializeToString(), quiet, ["CPUExecutionProvider"])
        given = {key: value for key, value in made.inputs.items() if not key.startswith("absent")}
        (y,) = session.run(None, given)
    except Exception as error:
        if type(error).__name__ in REFUSALS:
            raise NotImplementedError(str(error).split("\n")[0]) from None
        raise
    return y[0] if made.lone else y
