"""What ``unet-ref verify`` says of an operation: links 2 to 4 of the chain of trust, a row for each and each method.

2  the derivative is the definition's     dual numbers: ==, or 40 of 50 digits where exp, log, tanh or erf comes in
3  the array form is the definition       ==, on random rationals and on ties; in float64, beside the definition in
                                          50 digits, where it is not rational
   and its backward is its derivative     every coordinate by complex step and by differences; adjointness along
                                          random directions
4  float32 and float16                    beside float64, within a computed bound
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from ..backend import quiet
from .argument import check_argument
from .calls import subject_of
from .conduct import conduct
from .definition import array_form, derivative, floats, ties
from .layouts import linear, same_elsewhere
from .link4 import DTYPES, rounding_rows
from .operation import Operation
from .point import Options, settle
from .report import FAILS, HOLDS, KINK, NONE, Row
from .rounding import signed

CASES = 6  # drawn for each row: another geometry, other options each time
MANY = 3  # times as many beside the definition: that sees any mistake, if only the options bring it out
DEFINING = ("dual numbers", "definition", "definition, ties", "definition, float64")
DIRECTIONS = 4

Check = Callable[[np.random.Generator], Iterable[Row]]


def verify_operation(
    operation: Operation, rng: int | np.random.Generator = 0, *, cases: int = CASES, device: str = "cpu"
) -> list[Row]:  # fmt: skip
    """All rows of one operation. On ``device="gpu"``, links 3 and 4, in floating point alone: CuPy has no exact scalars."""
    generator = np.random.default_rng(rng)
    with quiet():
        return [
            merged(operation.name, link, method, _rows(check, cases * (MANY if method in DEFINING else 1), generator))
            for link, method, check in _checks(operation, device)
        ]


def _rows(check: Check, cases: int, rng: np.random.Generator) -> list[Row]:
    """The rows of so many random cases; an operation that raises at valid arguments fails there."""
    rows: list[Row] = []
    try:
        for _ in range(cases):
            rows += check(rng)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the operation's
        rows.append(Row("all", "", 0, None, None, FAILS, f"raised {type(error).__name__}: {error}"))
    return rows


def _checks(operation: Operation, device: str) -> Iterator[tuple[int, str, Check]]:
    differentiable = operation.backward is not None
    if device == "cpu":
        if differentiable:
            yield 2, "dual numbers", lambda rng: derivative(operation, rng)
        yield 3, "definition", lambda rng: array_form(operation, rng)
        if operation.arithmetic == "rational":
            yield 3, "definition, ties", lambda rng: ties(operation, rng)
    if device != "cpu" or operation.arithmetic != "rational":
        yield 3, "definition, float64", lambda rng: floats(operation, device, rng)
    if differentiable:
        yield 3, "behaviour", lambda rng: _behaviour(operation, device, rng)
        for label, options in (
            ("complex step", Options(0, method="complex")),
            ("differences", Options(0, method="differences")),
            ("adjointness", Options(0, method="complex", directions=DIRECTIONS)),
        ):
            yield 3, label, lambda rng, options=options: _slopes(operation, device, options, rng)  # type: ignore[misc]
    for dtype in DTYPES:
        yield 4, dtype, lambda rng, dtype=dtype: rounding_rows(operation, rng, device, (dtype,))  # type: ignore[misc]


def _behaviour(operation: Operation, device: str, rng: np.random.Generator) -> Iterator[Row]:
    """Kinds of results, inputs left alone, any memory layout, linear in ``grad_output``; a gradient for each argument."""
    case = operation.draw(rng)
    subject = subject_of(operation, case, device)
    v = signed(rng, subject.y().shape)
    wanted = {name for name, k in zip(subject.names, range(len(subject.names)), strict=True) if k in subject.varied}
    rows = list(conduct(subject, v, aliasing=False))
    for row in rows:
        missing = (
            row.verdict == NONE and row.argument.partition("[")[0] in operation.gradients and row.argument in wanted
        )
        yield replace(row, verdict=FAILS) if missing else row
    if all(row.holds for row in rows):
        point = settle(subject, v, Options(0))
        yield from same_elsewhere(point)
        yield linear(point, rng)


def _slopes(operation: Operation, device: str, options: Options, rng: np.random.Generator) -> Iterator[Row]:
    """Every coordinate, or random directions, of every argument that has a gradient."""
    subject = subject_of(operation, operation.draw(rng), device)
    point = settle(subject, None, replace(options, seed=int(rng.integers(1 << 31))))
    for position in point.gradients:
        yield from check_argument(point, position)


def merged(name: str, link: int, method: str, rows: list[Row]) -> Row:
    """One row for many: what fails, or else what came nearest to its bound."""
    failed = [row for row in rows if not row.holds]
    counted = [row for row in rows if row.verdict != NONE]
    shown = failed[0] if failed else max(counted, key=lambda row: (row.error or 0.0) / (row.bound or 1.0))
    kinks = sum(row.elements for row in rows if row.verdict == KINK)
    detail = shown.detail if failed else f"{kinks} at kinks" * bool(kinks)
    elements, exact = sum(row.elements for row in rows), all(row.exact for row in rows)
    return Row(
        shown.argument, method, elements, shown.error, shown.bound, shown.verdict if failed else HOLDS, detail, name,
        link, exact,
    )  # fmt: skip
