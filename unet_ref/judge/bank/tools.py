"""What mistakes are made of: other arrays handed to the right operation, results moved and mixed. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ...arithmetic import constant
from ..mistake import Arguments, Base, Results

Change = Callable[[Any], Any]


def reread(arguments: Arguments, base: Base, name: str, read: Change, unread: Change) -> Results:
    """The operation on ``read(array)`` in place of one array; its gradient brought back to that array's layout."""
    return regraded(base(arguments.with_arrays(**{name: read(arguments.arrays[name])})), **{name: unread})


def regraded(results: Results, **changes: Change) -> Results:
    """The same results with some gradients changed, where there are any."""
    changed = {name: change(results.grads[name]) for name, change in changes.items() if name in results.grads}
    return results._replace(grads=results.grads | changed)


def grafted(results: Results, wrong: Results, *names: str) -> Results:
    """The same results with the named gradients of other ones; with all where none is named."""
    taken = {name: grad for name, grad in wrong.grads.items() if not names or name in names}
    return results._replace(grads=results.grads | taken)


def each_gradient(results: Results, change: Change, *names: str) -> Results:
    """The same results with every gradient changed, those in tuples too, or the named ones."""

    def deep(value: Any) -> Any:
        return tuple(map(change, value)) if isinstance(value, tuple) else change(value)

    return regraded(results, **dict.fromkeys(names or results.grads, deep))


def each_output(results: Results, change: Change) -> Results:
    """The same results with the output changed: both of them, where it is a pair."""
    output = results.output
    return results._replace(output=type(output)(*map(change, output)) if isinstance(output, tuple) else change(output))


def number(value: float | Fraction, array: Any) -> Any:
    """A factor of a dtype that meets the array without changing its own."""
    return constant(value, array)


def times(factor: float | Fraction) -> Change:
    """Multiplication by a number, in any dtype."""
    return lambda array: np.asarray(array * number(factor, array))


def zero(array: Any) -> Any:
    """Zeros of the same shape and dtype."""
    return np.zeros_like(array)


def without(axis: int, part: slice | int) -> Change:
    """Zero in one part of an axis."""

    def change(array: Any) -> Any:
        copy = array.copy()
        copy[at(axis, part, array.ndim)] = 0
        return copy

    return change


def at(axis: int, part: slice | int, ndim: int) -> tuple[slice | int, ...]:
    """The index of a part of one axis."""
    return (*(slice(None) for _ in range(axis % ndim)), part)


def pair(value: Any) -> tuple[Any, Any]:
    """An option ``(h, w)``, or one value for both."""
    return (value[0], value[1]) if isinstance(value, Sequence) else (value, value)


def batched(arguments: Arguments) -> bool:
    """Whether the first axis counts samples."""
    first = first_array(arguments)
    if arguments.name == "film":
        return bool(arguments.arrays["gamma"].ndim == 2)
    return bool(first.ndim == 4 or (arguments.name in ANY_RANK and first.ndim >= 2))


def channel_axis(arguments: Arguments, ndim: int) -> int | None:
    """The axis of the channels in an image of that rank; of the features in a linear layer."""
    if arguments.name == "linear":
        return ndim - 1
    if arguments.name == "batch_norm_running_stats" and ndim == 1:
        return 0
    if arguments.name in ANY_RANK:
        return 1 if ndim >= 2 else None
    if arguments.name == "film":
        return int(arguments.arrays["gamma"].ndim - 1)
    return ndim - 3 if ndim >= 3 else None


def first_array(arguments: Arguments) -> Any:
    """The argument that comes first, or the first of several in it."""
    first = next(iter(arguments.arrays.values()))
    return first[0] if isinstance(first, tuple | list) else first


ANY_RANK = ("batch_norm", "batch_norm_running_stats", "group_norm", "linear", "cross_entropy")
