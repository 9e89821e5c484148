"""Links 2 and 3: derivative and array form against the definition, a row for each argument of one random case.

Exactly where the numbers can be rational; else to 40 of 50 digits, and in float64 beside those digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np

from ..backend import Array
from .calls import by_argument, named, subject_of
from .exact import decimal_case, derivative_defect, like, rational_case
from .layouts import worst
from .operation import Case, Operation
from .point import Options, settle
from .report import FAILS, HOLDS, Row

DIGITS = 50
CLOSE = Decimal("1e-40")


def exact_values(operation: Operation) -> bool:
    """Whether the operation's values are rational at rational arguments (chosen ones, where it takes roots)."""
    return operation.arithmetic in ("rational", "root")


def derivative(operation: Operation, rng: np.random.Generator) -> Iterator[Row]:
    """``<J u, v> == <u, J' v>`` for the definition: J u by dual numbers, J' v by its hand-written derivative."""
    with localcontext() as context:
        context.prec = DIGITS
        case = _case(operation, rng)
        for name, (forward, backward) in derivative_defect(operation, case, rng).items():
            elements = sum(np.size(array) for _, array in named((name,), (case.arrays[name],)))
            yield replace(_same(name, [backward], [forward], exact=exact_values(operation)), elements=elements)


def array_form(operation: Operation, rng: np.random.Generator) -> Iterator[Row]:
    """``ops`` equals ``spec``, forward and every gradient, on exact scalars."""
    with localcontext() as context:
        context.prec = DIGITS
        yield from _both_forms(operation, _case(operation, rng), rng)


def ties(operation: Operation, rng: np.random.Generator) -> Iterator[Row]:
    """The same where many values are equal and many are 0: both forms must choose alike."""

    def small(array: Array) -> Array:
        return np.asarray(np.frompyfunc(Fraction, 1, 1)(rng.integers(-1, 2, array.shape)), dtype=object)

    yield from _both_forms(operation, operation.draw(rng).map(small), rng)


def _case(operation: Operation, rng: np.random.Generator) -> Case:
    case = rational_case(operation, rng)
    return case if exact_values(operation) else decimal_case(case)


def _both_forms(operation: Operation, case: Case, rng: np.random.Generator) -> Iterator[Row]:
    exact, arrays, options = exact_values(operation), case.arrays.values(), case.options
    theirs = operation.definition(*arrays, **options)
    yield from _pairs(("y",), (operation.forward(*arrays, **options),), (theirs,), exact=exact)
    if operation.backward is not None and operation.definition_backward is not None:
        v = like(theirs, rng)
        ours, theirs = (f(v, *arrays, **options) for f in (operation.backward, operation.definition_backward))
        yield from _pairs(operation.gradients, by_argument(ours), by_argument(theirs), exact=exact)


def _pairs(names: tuple[str, ...], ours: Any, theirs: Any, *, exact: bool) -> Iterator[Row]:
    for (name, mine), (_, other) in zip(named(names, ours), named(names, theirs), strict=True):
        if mine is None and other is None:
            continue
        if np.shape(mine) != np.shape(other):
            detail = f"{name} has shape {np.shape(mine)}, by the definition {np.shape(other)}"
            yield Row(name, "", np.size(other), None, None, FAILS, detail, exact=exact)
        else:
            yield _same(name, mine, other, exact=exact)


def _same(name: str, ours: Any, theirs: Any, *, exact: bool) -> Row:
    """Equal, and no float among exact numbers; or equal to 40 digits, measured by the largest number."""
    ours, theirs = np.asarray(ours, dtype=object), np.asarray(theirs, dtype=object)
    if exact:
        wrong = [
            i for i, (a, b) in enumerate(zip(ours.flat, theirs.flat, strict=True)) if a != b or isinstance(a, float)
        ]
        detail = f"{_at(name, wrong[0], ours)}: {ours.flat[wrong[0]]}, not {theirs.flat[wrong[0]]}" if wrong else ""
        return Row(name, "", ours.size, None, None, FAILS if wrong else HOLDS, detail, exact=True)
    scale = max((abs(b) for b in theirs.flat), default=Decimal(0)) or Decimal(1)
    errors = [abs(Decimal(a) - b) / scale for a, b in zip(ours.flat, theirs.flat, strict=True)]
    error = max(errors, default=Decimal(0))
    k, fails = errors.index(error) if errors else 0, not error <= CLOSE
    detail = f"{_at(name, k, ours)}: {float(ours.flat[k]):.6g}, not {float(theirs.flat[k]):.6g}" if fails else ""
    return Row(name, "", ours.size, float(error), float(CLOSE), FAILS if fails else HOLDS, detail)


def _at(name: str, k: int, array: Array) -> str:
    return f"{name}{list(map(int, np.unravel_index(k, array.shape))) or ''}"


def floats(operation: Operation, device: str, rng: np.random.Generator) -> Iterator[Row]:
    """``ops`` in float64 beside ``spec`` in 50 digits at the same numbers, within the rounding that is measured."""
    case = operation.draw(rng)
    point = settle(subject_of(operation, case, device), None, Options(int(rng.integers(1 << 31))))
    with localcontext() as context:
        context.prec = DIGITS
        definition = subject_of(operation, case.map(_decimals), definition=True)
        y, gradients = definition.y(), definition.gradients(_decimals(point.v))
    yield worst("y", "", point.y, y.astype(np.float64), point.noise + 1e-40)  # the 50 digits are rounded too
    for position, gradient in point.gradients.items():
        bound = point.gradient_noise(position)
        yield worst(point.subject.names[position], "", gradient, gradients[position].astype(np.float64), bound + 1e-40)


def _decimals(array: Array) -> Array:
    """The exact values of floats."""
    return np.asarray(np.frompyfunc(lambda value: Decimal(float(value)), 1, 1)(array), dtype=object)
