"""Gradients checked without rounding: forward on dual numbers over the rationals gives each slope exactly.

For functions of ``+ - * /`` and comparisons on ``object`` arrays. At a tie the comparison decides which side's slope
is taken, as in the function itself; that there is a kink goes unnoticed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..backend import Array
from .colouring import Coordinates, Directions
from .dual import Dual
from .evaluate import chunks, spread
from .exact import rational
from .report import FAILS, HOLDS, Row
from .screen import DIRECTIONS, group
from .slopes import Measurement
from .subject import Subject, is_varied

STEP = 2.0**-20  # by which floats are moved to see which outputs answer


@dataclass(frozen=True)
class Exact:
    """What a worker needs: the argument ``x`` and its ``gradient`` in exact scalars, and which probes to try."""

    subject: Subject
    position: int
    v: Array
    gradient: Array
    plan: Coordinates | Directions
    part: range = range(0)


def check_exactly(
    subject: Subject, seed: int, directions: int | None, every: int, executor: Executor | None
) -> Iterable[Row]:  # fmt: skip
    """One row for each argument: <v, J u> == <u, gradient> for each coordinate, or along random directions u."""
    arrays = tuple(as_fractions(array) if is_varied(array) else array for array in subject.arrays)
    subject = replace(subject, arrays=arrays)
    v = rational(np.random.default_rng(seed), subject.y().shape)
    found = {k: np.asarray(g) for k, g in subject.gradients(v).items() if g is not None}
    for position, gradient in found.items():
        size = gradient.size
        plan: Coordinates | Directions = Directions(gradient.shape, v.size, directions or DIRECTIONS, seed)
        if directions is None and size <= every:
            plan = _coordinates(subject, position, seed)
        whole = Exact(subject, position, v, gradient, plan)
        parts = [replace(whole, part=part) for part in chunks(len(plan), size, stacked=False)]
        wrong = [w for part in spread(executor, wrong_slopes, parts) for w in part]
        count = size if isinstance(plan, Coordinates) else len(plan)
        name = subject.names[position]
        detail = _detail(name, *wrong[0], len(wrong)) if wrong else ""
        yield Row(name, "dual numbers", count, None, None, FAILS if wrong else HOLDS, detail, exact=True)


def _detail(name: str, index: list[int], gradient: Any, slope: Any, count: int) -> str:
    more = f" ({count:,} fail)" if count > 1 else ""
    return f"{name}{index or ''}: gradient {float(gradient):.6g}, off by {float(gradient - slope):.2g}{more}"


def as_fractions(array: Array) -> Array:
    """A float is a rational number: its exact value."""
    if array.dtype == object:
        return array
    return np.asarray(np.frompyfunc(Fraction, 1, 1)(array.astype(np.float64)), dtype=object)


def _coordinates(subject: Subject, position: int, seed: int) -> Coordinates:
    floats = subject.cast(np.float64)
    y, x = floats.y(), floats.arrays[position]
    empty = Directions(x.shape, y.size, 0, seed)
    return group(Measurement(floats, position, (), y, y, y, x, empty, STEP), (STEP, -STEP), None)


def wrong_slopes(task: Exact) -> list[tuple[list[int], Any, Any]]:
    """Where the gradient and the exact slope differ: index (none of a direction), gradient, slope."""
    wrong: list[tuple[list[int], Any, Any]] = []
    shape = task.gradient.shape
    for k in task.part:
        probe = task.plan.probe(k)
        u = as_fractions(probe.direction)
        terms = task.v.ravel() * _slope(task, u)
        if probe.coordinates is None:
            expected, slope = np.sum(u * task.gradient), np.sum(terms)
            wrong += [([], expected, slope)] if expected != slope else []
            continue
        stray = any(terms[probe.owner < 0])
        for j, i in enumerate(probe.coordinates):
            expected, slope = task.gradient.flat[i], sum(terms[probe.owner == j]) / u.flat[i]
            if stray or expected != slope:  # alone, then, with all outputs counted
                one = np.zeros(task.gradient.size, dtype=object)
                one[i] = Fraction(1)
                slope = np.sum(task.v.ravel() * _slope(task, one.reshape(shape)))
                wrong += [(list(map(int, np.unravel_index(i, shape))), expected, slope)] if expected != slope else []
    return wrong


def _slope(task: Exact, u: Array) -> Array:
    """The derivative of each output along u, by dual numbers."""
    x = task.subject.arrays[task.position]
    moved = np.asarray(np.frompyfunc(lambda a, b: Dual(a, b) if b else a, 2, 1)(x, u), dtype=object)
    y = task.subject.at(task.position, moved).y()
    return np.asarray(
        np.frompyfunc(lambda s: s.derivative if isinstance(s, Dual) else 0, 1, 1)(y), dtype=object
    ).ravel()
