"""One operation on both sides."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ..check.operation import Case, Operation
from ..check.table import OPERATIONS
from ..judge.engines import torch as engine
from .clock import Call, array_module
from .machine import copying, product
from .sides import Sides
from .sizes import Job, case

PRODUCTS = ("conv2d", "conv_transpose2d", "linear")
# backward passes that read no argument, only its shape
READ_NOTHING = {
    "concat", "upsample_nearest2d", "upsample_bilinear2d", "avg_pool2d", "adaptive_avg_pool2d", "center_crop2d", "pad2d",
}  # fmt: skip


def operation(job: Job, dtype: str, device: str, *, beside_torch: bool) -> Sides:
    """Forward is the call alone; both passes are the call and the gradients of all arguments that have one."""
    row, drawn, xp = OPERATIONS[job.name], case(job, dtype), array_module(device)
    arrays = [_deep(xp.asarray, array) for array in drawn.arrays.values()]
    y = row.forward(*arrays, **drawn.options)
    dy = None
    if row.backward is not None:
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    ours = _ours(row, arrays, drawn.options, None if dy is None else xp.asarray(dy))
    theirs = _theirs(row, drawn, dy, "cuda" if device == "gpu" else "cpu") if beside_torch else {}
    if job.name in PRODUCTS:
        x, weight, *_ = arrays
        pixels = x if job.name == "conv_transpose2d" else y
        work = 2.0 * pixels.size * weight.size / weight.shape[0]
        return Sides(ours, theirs, {"forward": work, "both": 3 * work}, product(dtype, device))
    largest = max((part for array in arrays for part in _flat(array)), key=lambda part: part.nbytes)
    return Sides(ours, theirs, _traffic(job.name, arrays, y), copying(largest))


def _ours(row: Operation, arrays: list[Any], options: dict[str, Any], dy: Any) -> dict[str, Call]:
    backward = row.backward

    def forward() -> Any:
        return row.forward(*arrays, **options)

    if backward is None:
        return {"forward": forward}
    return {"forward": forward, "both": lambda: (forward(), backward(dy, *arrays, **options))}


def _theirs(row: Operation, drawn: Case, dy: Any, device: str) -> dict[str, Call]:
    torch = importlib.import_module("torch")
    function: Callable[..., Any] = engine.OPERATIONS[row.name]
    if row.name == "batch_norm_running_stats":  # what computes these and nothing else
        function = lambda x, mean, var: torch.batch_norm_update_stats(x, mean, var, 0.1)

    def tensor(array: Any) -> Any:
        return torch.from_numpy(array.copy()).to(device)

    plain = [_deep(tensor, array) for array in drawn.arrays.values()]

    def forward() -> Any:
        with torch.no_grad():
            return function(*plain, **drawn.options)

    if dy is None:
        return {"forward": forward}
    given = {name: _deep(tensor, array) for name, array in drawn.arrays.items()}
    wanted = [part.requires_grad_() for name in row.gradients for part in _flat(given[name])]
    upstream = tensor(dy)

    def both() -> Any:
        y = function(*given.values(), **drawn.options)
        return y, torch.autograd.grad(y, wanted, upstream)

    return {"forward": forward, "both": both}


def _traffic(name: str, arrays: list[Any], y: Any) -> dict[str, float]:
    """Bytes to read and to write if every number moves once a pass: dy, arguments and their gradients going back."""
    read = sum(part.nbytes for array in arrays for part in _flat(array))
    written = sum(part.nbytes for part in _flat(y))
    back = written + read * (name not in READ_NOTHING) + read
    return {"forward": float(read + written), "both": float(read + written + back)}


def _flat(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def _deep(function: Callable[[Any], Any], value: Any) -> Any:
    """Of an array, or of each in a tuple."""
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)
