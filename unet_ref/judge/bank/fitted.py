"""Mistakes with a number in them that one cannot know: results that end early, or are off by a factor."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..mistake import Arguments, Base, Results, mistake
from .scope import DIFFERENTIABLE, IMAGES, LOSSES
from .tools import each_gradient, each_output, times


def _beyond(array: Any, start: int) -> Any:
    """Zero from a position on, counted in memory's order."""
    row = array.copy().reshape(-1)
    row[start:] = 0
    return row.reshape(array.shape)


def _written(array: Any) -> int:
    """How many elements come before the zeros at the end."""
    (places,) = np.nonzero(np.asarray(array).reshape(-1))
    return int(places[-1]) + 1 if len(places) else 0


def _fit_output_beyond(arguments: Arguments, base: Base, got: Results) -> Results:
    return each_output(base(arguments), lambda array: _beyond(array, _written(got.output)))


@mistake(
    *IMAGES, affects=("output",), fit=_fit_output_beyond,
    mend="Count elements in 64 bits, and let one thread do several where the grid has a limit (65,535 blocks).",
    seen=("tensorflow#9870", "pytorch#117011", "pytorch#141831", "pytorch#59515", "MIOpen#1109", "pytorch#163539"),
)  # fmt: skip
def output_ends_early(arguments: Arguments, base: Base) -> Results:
    """The output is zero from some element on: a batch, a grid or an index beyond its limit is ignored."""
    return each_output(base(arguments), lambda array: _beyond(array, -(-array.size // 2)))


def _fit_gradient_beyond(arguments: Arguments, base: Base, got: Results) -> Results:
    """The arrays of ``got``, one by one, say how far each was written."""
    return _beside(base(arguments), got, lambda right, found: _beyond(right, _written(found)))


def _beside(right: Results, got: Results, change: Callable[[Any, Any], Any]) -> Results:
    """Every gradient changed by what ``got`` has in its place, where that has its shape."""

    def each(right: Any, found: Any) -> Any:
        if isinstance(right, tuple):
            return tuple(map(each, right, found if isinstance(found, tuple) else (None,) * len(right)))
        return change(right, found) if found is not None and np.shape(found) == right.shape else right

    return right._replace(grads={name: each(grad, got.grads.get(name)) for name, grad in right.grads.items()})


@mistake(
    *DIFFERENTIABLE, affects=("grads",), fit=_fit_gradient_beyond,
    mend="Count elements in 64 bits, and let one thread do several where the grid has a limit (65,535 blocks).",
    seen=("pytorch#96225", "MIOpen#1109"),
)  # fmt: skip
def gradient_ends_early(arguments: Arguments, base: Base) -> Results:
    """A gradient is zero from some element on: a batch, a grid or an index beyond its limit is ignored."""
    name = next(iter(arguments.arrays))
    return each_gradient(base(arguments), lambda array: _beyond(array, -(-array.size // 2)), name)


def _factor(right: Any, got: Any) -> Any:
    """The number that ``right`` has to be multiplied with to come nearest to ``got``."""
    power = (right * right).sum()
    return (right * got).sum() / power if power else 1


def _fit_output_factor(arguments: Arguments, base: Base, got: Results) -> Results | None:
    right = base(arguments)
    if np.shape(got.output) != right.output.shape:
        return None
    factor = _factor(right.output, got.output)
    return each_gradient(right._replace(output=np.asarray(right.output * factor)), lambda g: g * factor)


@mistake(
    *IMAGES, *LOSSES, mend="Look for a scale, a mean or a sum that is taken once too often.", fit=_fit_output_factor
)
def output_off_by_a_factor(arguments: Arguments, base: Base) -> Results:
    """The output is the right one times a constant, and the gradients follow."""
    results = each_output(base(arguments), times(Fraction(5, 7)))
    return each_gradient(results, times(Fraction(5, 7)))


def _fit_gradient_factor(arguments: Arguments, base: Base, got: Results) -> Results:
    return _beside(base(arguments), got, lambda right, found: np.asarray(right * _factor(right, found)))


@mistake(
    *DIFFERENTIABLE, mend="Look for a scale, a mean or a sum that is taken once too often.", affects=("grads",),
    fit=_fit_gradient_factor,
)  # fmt: skip
def gradient_off_by_a_factor(arguments: Arguments, base: Base) -> Results:
    """A gradient is the right one times a constant."""
    return each_gradient(base(arguments), times(Fraction(5, 7)))
