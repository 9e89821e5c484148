"""Mistakes that numbers alone do not show: what a function does to its arguments, and from one call to the next."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..mistake import each_array

Function: TypeAlias = Callable[..., Any]  # a forward or a backward pass


class Habit(NamedTuple):
    """A way to misbehave. ``given(function)`` is the same function with it; its results are the right ones at first."""

    name: str
    explanation: str
    mend: str
    given: Callable[[Function], Function]
    seen: tuple[str, ...] = ()


def _habit(mend: str, seen: tuple[str, ...] = ()) -> Callable[[Callable[[Function], Function]], Habit]:
    def decorate(given: Callable[[Function], Function]) -> Habit:
        explanation = " ".join((inspect.getdoc(given) or "").split())
        return Habit(given.__name__.replace("_", " "), explanation, mend, given, seen)

    return decorate


def _floats(arguments: tuple[Any, ...]) -> Iterator[Any]:
    for item in arguments:
        if isinstance(item, tuple):
            yield from _floats(item)
        elif item is not None and item.dtype.kind == "f" and item.size:
            yield item


@_habit("Do not write to an argument: compute in memory of your own.")
def argument_changed(function: Function) -> Function:
    """One of the arguments holds other numbers after the call."""

    def changing(*arguments: Any, **options: Any) -> Any:
        results = function(*arguments, **options)
        last = list(_floats(arguments))[-1]
        last += 1
        return results

    return changing


@_habit("Return memory of your own: who changes the result would change the argument.")
def result_in_the_arguments_memory(function: Function) -> Function:
    """The result lies in the memory of an argument (a view, or an operation in place) wherever their shapes agree."""

    def placed(*arguments: Any, **options: Any) -> Any:
        results = function(*arguments, **options)

        def place(array: Any) -> Any:
            for argument in _floats(arguments):
                if argument.shape == array.shape and 0 not in argument.strides:
                    argument[...] = array
                    return argument
            return array

        return each_array(results, place)

    return placed


@_habit("Set the buffer to zero before anything is added to it.", seen=("executorch#21686", "executorch#21878"))
def buffer_not_set_to_zero(function: Function) -> Function:
    """The result is added to memory that nobody has written to."""

    def added(array: Any) -> Any:
        memory = np.empty(array.shape, array.dtype)
        memory += array
        return memory

    return lambda *arguments, **options: each_array(function(*arguments, **options), added)


@_habit("Keep nothing from one call to the next.")
def added_up_from_call_to_call(function: Function) -> Function:
    """A second call returns the sum of both."""
    kept: dict[Any, Any] = {}

    def summed(*arguments: Any, **options: Any) -> Any:
        count = itertools.count()

        def add(array: Any) -> Any:
            key = next(count), array.shape
            kept[key] = kept.get(key, 0) + array
            return np.array(kept[key], array.dtype)

        return each_array(function(*arguments, **options), add)

    return summed


@_habit("Return new memory from every call.")
def one_buffer_for_all_calls(function: Function) -> Function:
    """Every call writes to the same memory, and so into the result of the call before."""
    kept: dict[Any, Any] = {}

    def reused(*arguments: Any, **options: Any) -> Any:
        count = itertools.count()

        def write(array: Any) -> Any:
            memory = kept.setdefault((next(count), array.shape), np.empty(array.shape, array.dtype))
            memory[...] = array + (kept.setdefault("calls", 0) % 2)  # the next call has other numbers
            return memory

        results = each_array(function(*arguments, **options), write)
        kept["calls"] += 1
        return results

    return reused


@_habit("Add in one order: no atomic additions, no tuning by the clock.")
def other_bits_in_another_call(function: Function) -> Function:
    """The order of a sum differs from call to call, and with it the last bit."""
    calls = itertools.count()

    def shaken(*arguments: Any, **options: Any) -> Any:
        step = next(calls) % 2
        return each_array(
            function(*arguments, **options), lambda array: np.nextafter(array, array.dtype.type(9e9)) if step else array
        )

    return shaken


@_habit("Return the dtype of x.")
def returned_in_double(function: Function) -> Function:
    """The result is float64, whatever the arguments are."""
    return lambda *arguments, **options: each_array(
        function(*arguments, **options), lambda array: array.astype(np.float64)
    )


HABITS: tuple[Habit, ...] = tuple(value for value in vars().copy().values() if isinstance(value, Habit))
