"""Links 1 to 3 without rounding: derivatives against dual numbers, arrays against definitions, with ``==``."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from .dual import Dual
from .operation import Case, Operation


def rational(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Random Fractions: signed, uneven, hardly ever zero or alike."""
    numerators = rng.integers(1, 97, shape) * rng.choice([-1, 1], shape)
    denominators = rng.choice([1, 2, 3, 5, 7], shape)
    return np.frompyfunc(lambda p, q: Fraction(int(p), int(q)), 2, 1)(numerators, denominators)


def rational_case(operation: Operation, rng: np.random.Generator) -> Case:
    """A drawn case with its floating arrays replaced by random rationals of the same shapes.

    Where the definition needs rational roots the row's own ``draw_exact`` says how.
    """
    if operation.draw_exact is not None:
        return operation.draw_exact(rng)
    return operation.draw(rng).map(lambda array: np.asarray(rational(rng, array.shape), dtype=object))


def decimal_case(case: Case) -> Case:
    """The same values in ``Decimal``, for definitions with exp, log, tanh or erf, whose values are not rational."""
    sixteenth = np.frompyfunc(lambda q: Decimal(q.numerator) / Decimal(q.denominator) / 16, 1, 1)
    return case.map(lambda array: np.asarray(sixteenth(array), dtype=object))


def derivative_defect(operation: Operation, case: Case, rng: np.random.Generator) -> dict[str, tuple[Any, Any]]:
    """For each argument the two sides of ``<J u, v> == <u, J' v>``, with J u from dual numbers, J' v from ``spec``.

    A wrong derivative makes them differ for all but a vanishing share of the random u and v.
    """
    assert operation.definition_backward is not None
    names = list(case.arrays)
    y = operation.definition(*case.arrays.values(), **case.options)
    v = like(y, rng)
    grads = operation.definition_backward(v, *case.arrays.values(), **case.options)
    sides = {}
    for name in operation.gradients:
        array = case.arrays[name]
        gradient = grads if not hasattr(grads, "_fields") else getattr(grads, name)
        if array is None:
            assert gradient is None
            continue
        pieces, slopes = (array, gradient) if isinstance(array, tuple) else ((array,), (gradient,))
        directions = tuple(like(piece, rng) for piece in pieces)
        moved = tuple(np.frompyfunc(Dual, 2, 1)(piece, u) for piece, u in zip(pieces, directions, strict=True))
        arguments = [
            (moved if isinstance(array, tuple) else moved[0]) if other == name else case.arrays[other]
            for other in names
        ]
        Ju = np.frompyfunc(_derivative, 1, 1)(operation.definition(*arguments, **case.options))
        forward = np.sum(np.asarray(Ju * v, dtype=object))
        backward = sum(np.sum(u * slope) for u, slope in zip(directions, slopes, strict=True))
        sides[name] = (forward, backward)
    return sides


def _derivative(value: Any) -> Any:
    return value.derivative if isinstance(value, Dual) else 0


def like(array: Any, rng: np.random.Generator) -> Any:
    """Random scalars of the type that ``array`` holds."""
    array = np.asarray(array, dtype=object)
    values = np.asarray(rational(rng, array.shape), dtype=object)
    if array.size and isinstance(array.flat[0], Decimal):
        return np.asarray(np.frompyfunc(lambda q: Decimal(q.numerator) / Decimal(q.denominator), 1, 1)(values), object)
    return values
