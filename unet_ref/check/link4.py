"""Link 4 of the chain of trust: float32 and float16 beside the reference, within the computed bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .calls import named, subject_of
from .error_bound import error_bound, ratio
from .layouts import worst
from .operation import Operation
from .report import Row

DTYPES = ("float32", "float16")


def rounding_rows(
    operation: Operation, rng: np.random.Generator, device: str = "cpu", dtypes: Sequence[str] = DTYPES
) -> list[Row]:  # fmt: skip
    """A drawn case in each dtype: a row for the output and for every gradient.

    A row's error and bound are those of the element that came nearest to its bound, its detail the largest share of the
    bound that any element used.
    """
    return [row for dtype in dtypes for row in _rows(operation, rng, device, dtype)]


def _rows(operation: Operation, rng: np.random.Generator, device: str, dtype: str) -> Iterator[Row]:
    case = operation.draw(rng).map(lambda array: array.astype(dtype))
    subject = subject_of(operation, case, device)
    y = subject.y()
    dy = None if operation.backward is None else np.asarray(rng.standard_normal(y.shape)).astype(dtype)
    bounds = error_bound(operation.name, case.arrays, case.options, dy, dtype)
    yield _row("y", dtype, y, _joined(bounds.reference[0]), _joined(bounds.output))
    if dy is not None:
        found = {subject.names[position]: gradient for position, gradient in subject.gradients(dy).items()}
        names, expected = tuple(bounds.grads), dict(named(tuple(bounds.grads), bounds.reference[1].values()))
        for name, bound in named(names, bounds.grads.values()):
            if bound is not None:
                yield _row(name, dtype, found[name], expected[name], bound)


def _joined(value: Any) -> Any:
    """The mean and variance of ``batch_norm_running_stats`` end to end, as the subject has them."""
    return np.concatenate([part.ravel() for part in value]) if isinstance(value, tuple) else value


def _row(name: str, dtype: str, found: Any, expected: Any, bound: Any) -> Row:
    share = ratio(found, expected, bound)
    row = worst(name, dtype, np.where(share == 0, expected, found), expected, bound)
    used = f"{float(share.max(initial=0.0)):.2g} of the bound"
    return replace(row, link=4, detail=f"{row.detail}; {used}" if row.detail else used)
