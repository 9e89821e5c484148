"""Calling somebody's implementation: whatever it does is an answer, never a crash."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from ..backend import quiet
from .mistake import Arguments, Results, by_name

Forward: TypeAlias = Callable[..., Any]
Backward: TypeAlias = Callable[..., Any]

KEPT = 4  # blocks of memory of each size that are filled with NaN


class RefusedError(Exception):
    """The candidate says that it does not do this: ``NotImplementedError``."""


class Trial:
    """One call of forward and backward, made twice, and everything about it that is wrong besides the numbers."""

    def __init__(self, arguments: Arguments, forward: Forward, backward: Backward | None, expected: Results) -> None:
        self.arguments, self.expected = arguments, expected
        self.problems: list[str] = []
        self.inputs = dict(_inputs(arguments))
        self.saved = {name: array.copy() for name, array in self.inputs.items()}
        arrays, options, upstream = arguments.arrays.values(), arguments.options, arguments.grad_output
        output = self._twice("forward", lambda: forward(*arrays, **options), lambda value: value)
        grads: Any = None
        if backward is not None and upstream is not None:
            grads = self._twice(
                "backward",
                lambda: backward(upstream, *arrays, **options),
                lambda found: None if found is None else by_name(found, arguments.arrays),
            )
        self.results = Results(output, grads or {})
        if grads is not None:
            self._missing(grads)
        self._kinds()

    def _twice(self, who: str, call: Callable[[], Any], read: Callable[[Any], Any]) -> Any:
        """The results of the first call; the second must give the same bits and leave the first ones alone."""
        first = self._call(who, call, read)
        if first is None:
            return None
        self._shared(who, first)
        before = {name: _bits(array) for name, array in _arrays(first)}
        values = {name: np.array(array) for name, array in _arrays(first)}
        second = self._call(who, call, read)
        if second is None:
            return first
        for name, array in _arrays(first):
            if _bits(array) != before[name]:
                self.problems.append(f"{who}: a second call overwrites {name} of the first: it is an internal buffer.")
        for name, array in _arrays(second):
            if name in before and _bits(array) != before[name]:
                self.problems.append(f"{who}: {_difference(name, values[name], np.asarray(array))}")
        return _like(first, values)

    def _call(self, who: str, call: Callable[[], Any], read: Callable[[Any], Any]) -> Any:
        poison(self.expected, self.arguments)
        try:
            with quiet():
                value = read(call())
        except NotImplementedError as error:
            raise RefusedError(str(error) or "not implemented") from None
        except Exception as error:  # noqa: BLE001  whatever it is, it is the candidate's
            self.problems.append(f"{who} raised {type(error).__name__}: {error}{_where(error)}")
            value = None
        else:
            if value is None:
                self.problems.append(f"{who} returned None.")
        self._restore(who)
        return value

    def _restore(self, who: str) -> None:
        """Inputs that were changed are said, once, and put right again, for the next call."""
        for name, array in self.inputs.items():
            if _bits(array) != _bits(self.saved[name]):
                message = f"{who} changes its input {name}."
                if message not in self.problems:
                    self.problems.append(message)
                array[...] = self.saved[name]

    def _shared(self, who: str, value: Any) -> None:
        for name, array in _arrays(value):
            for other, memory in self.inputs.items():
                if isinstance(array, np.ndarray) and array.size and np.shares_memory(array, memory):
                    self.problems.append(f"{who}: {name} shares memory with the input {other}: return a copy.")

    def _missing(self, grads: dict[str, Any]) -> None:
        for name in self.expected.grads:
            if name not in grads:
                self.problems.append(f"backward returned no gradient of {name}.")

    def _kinds(self) -> None:
        """Arrays of the inputs' dtype, and nothing else; what is none is taken out of the results."""
        dtype = next(iter(self.saved.values())).dtype
        for name, array in _arrays(self.results.output, "the output"):
            self._kind(name, array, dtype)
        for name, gradient in self.results.grads.items():
            for label, array in _arrays(gradient, f"the gradient of {name}"):
                self._kind(label, array, dtype)

    def _kind(self, name: str, array: Any, dtype: Any) -> None:
        if not isinstance(array, np.ndarray | np.generic):
            self.problems.append(f"{name} is no NumPy array but {type(array).__name__}.")
        elif array.dtype != dtype:
            self.problems.append(f"{name} has dtype {array.dtype}, and must have that of x, {dtype}.")


def poison(expected: Results, arguments: Arguments) -> None:
    """Fills memory of the results' sizes with NaN and frees it, so that who does not initialise its results gets it."""
    shapes = {
        (array.shape, array.dtype) for array in (*expected.tensors().values(), *dict(_inputs(arguments)).values())
    }
    for shape, dtype in shapes:
        if dtype.kind == "f":
            del [np.full(shape, np.nan, dtype) for _ in range(KEPT)][:]


def _inputs(arguments: Arguments) -> Iterator[tuple[str, Any]]:
    for name, value in {**arguments.arrays, "grad_output": arguments.grad_output}.items():
        yield from _arrays(value, name)


def _arrays(value: Any, name: str = "the output") -> Iterator[tuple[str, Any]]:
    """All that a result holds, by name, whatever it is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _arrays(item, f"the gradient of {key}")
    elif isinstance(value, tuple | list):
        for key, item in enumerate(value):
            yield from _arrays(item, f"{name}[{key}]")
    elif value is not None:
        yield name, value


def _like(value: Any, copies: dict[str, Any], name: str = "the output") -> Any:
    """The same structure with copies of its arrays, which no later call can change."""
    if isinstance(value, dict):
        return {key: _like(item, copies, f"the gradient of {key}") for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_like(item, copies, f"{name}[{key}]") for key, item in enumerate(value))
    return copies[name] if isinstance(value, np.ndarray | np.generic) else value


def _bits(array: Any) -> Any:
    """Equal where two arrays hold the same bits."""
    return array.tobytes() if isinstance(array, np.ndarray | np.generic) else array


def _difference(name: str, first: Any, second: Any) -> str:
    with quiet():
        if first.shape == second.shape and first.size and first.dtype.kind == "f":
            if np.array_equal(second, 2 * first) and first.any():
                return f"{name} is twice as large in a second call: something is added up from call to call."
            off = float(np.nanmax(np.abs(second - first), initial=0.0))
            return f"{name} has other bits in a second call (off by up to {off:.3g})."
    return f"{name} has other bits in a second call."


def _where(error: Exception) -> str:
    """The candidate's innermost line; nothing where it did not get as far as its first one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return f" ({frames[-1].name}, line {frames[-1].lineno})" if frames else ""
