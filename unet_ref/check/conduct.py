"""How functions behave, whatever their values: results of the right kind, inputs left alone, the same bits twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import Array
from .report import FAILS, HOLDS, NONE, Row
from .subject import Subject, is_varied


def conduct(subject: Subject, v: Array, *, aliasing: bool) -> Iterator[Row]:
    """The rows about behaviour. The first that fails is the last: nothing after it could be trusted."""
    before = [_bits(array) for array in (v, *subject.arrays)]
    y = subject.y()
    try:
        gradients = subject.gradients(v)
    except ValueError as error:
        if not str(error).startswith("backward returned"):
            raise
        yield Row("all", "one gradient each", 0, None, None, FAILS, str(error))
        return
    changed = [
        name
        for name, array, bits in zip(("grad_output", *subject.names), (v, *subject.arrays), before, strict=True)
        if _bits(array) != bits
    ]
    yield _row("inputs unchanged", [f"{name} was changed" for name in changed])
    if not changed:
        yield _row("dtype, shape, finite", list(_kinds(subject, gradients)))
        yield _row("same bits again", _repeats(subject, v, y, gradients))
        if not aliasing:
            yield _row("no shared memory", list(_shared(subject, v, y, gradients)))
        for position in subject.varied:
            if gradients.get(position) is None:
                yield Row(subject.names[position], "", 0, None, None, NONE, "backward gave no gradient for it")


def _row(method: str, complaints: list[str]) -> Row:
    return Row("all", method, 1, None, None, FAILS if complaints else HOLDS, "; ".join(complaints))


def _bits(array: Any) -> Any:
    """Equal where two arrays hold the same bits, the sign of zero and NaN included."""
    if not isinstance(array, np.ndarray):
        return None
    if array.dtype == object:
        return list(array.flat)
    if array.dtype == np.longdouble:  # has bytes that mean nothing
        high = array.astype(np.float64)
        return high.tobytes(), (array - high).astype(np.float64).tobytes()
    return array.tobytes()


def _kinds(subject: Subject, gradients: dict[int, Any]) -> Iterator[str]:
    """A gradient has the dtype and the shape of its argument."""
    for position, gradient in gradients.items():
        name, array = subject.names[position], subject.arrays[position]
        if gradient is None:
            continue
        if not is_varied(array):
            yield f"{name} has no derivative, but a gradient"
        elif not isinstance(gradient, np.ndarray | np.generic):
            yield f"the gradient of {name} is no array but {type(gradient).__name__}"
        elif gradient.dtype != array.dtype:
            yield f"the gradient of {name} has dtype {gradient.dtype}, {name} has {array.dtype}"
        elif gradient.shape != array.shape:
            yield f"the gradient of {name} has shape {gradient.shape}, {name} has {array.shape}"
        elif gradient.dtype == np.float64 and not np.isfinite(gradient).all():  # narrower ones may overflow
            index = list(map(int, np.argwhere(~np.isfinite(gradient))[0]))
            yield f"the gradient of {name} is {np.asarray(gradient)[tuple(index)]} at {index}"


def _repeats(subject: Subject, v: Array, y: Array, gradients: dict[int, Any]) -> list[str]:
    again, once_more = subject.y(), subject.gradients(v)
    complaints = [] if _bits(again) == _bits(y) else ["forward gives other bits when called again"]
    return complaints + [
        f"backward gives other bits for {subject.names[position]} when called again"
        for position, gradient in gradients.items()
        if gradient is not None and _bits(np.asarray(gradient)) != _bits(np.asarray(once_more[position]))
    ]


def _shared(subject: Subject, v: Array, y: Array, gradients: dict[int, Any]) -> Iterator[str]:
    """Results are arrays of their own: whoever adds to a gradient in place changes nothing else."""
    inputs = {"grad_output": v, **dict(zip(subject.names, subject.arrays, strict=True))}
    results = {"y": y, **{f"the gradient of {subject.names[k]}": g for k, g in gradients.items()}}
    for result, array in results.items():
        for other, memory in {**inputs, **results}.items():
            known = isinstance(array, np.ndarray) and isinstance(memory, np.ndarray)
            if other != result and known and np.may_share_memory(array, memory) and np.shares_memory(array, memory):
                yield f"{result} shares memory with {other}"
