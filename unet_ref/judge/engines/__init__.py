"""The operations as well-known libraries have them, in the contract's arguments, held against all designed cases.

A module for each engine: ``version()``, ``DTYPES``, ``LAYOUTS`` and ``pair(name, layout, dtype)``, which gives functions
``forward(*arrays, **options)`` and ``backward(grad_output, *arrays, **options)`` on NumPy arrays (``None`` for what the
engine does not have). Libraries are imported when they are asked for. What an engine has no option for is refused with
``NotImplementedError``, never imitated: only what the library itself computes is judged.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...check.table import OPERATIONS
from ..cases import DesignedCase, designed_cases
from ..implementation import judge_case, judge_implementation
from ..report import CaseResult, Report
from ..rounding import rounded

ENGINES = {
    "torch": "torch",
    "jax": "jax",
    "onnxruntime": "onnxruntime",
    "onnx.reference": "onnx_reference",
    "cupy": "cupy",
}

Each = Callable[[Iterable["Part"], int], Iterable["Part"]]


@dataclass(frozen=True)
class Part:
    """One operation of one engine in one layout and dtype."""

    engine: str
    operation: str
    layout: str
    dtype: str

    def run(self) -> Report:
        """All designed cases."""
        return judge_implementation(self.operation, *self.functions(), profile=self.dtype, cases=cases_of(self))

    def functions(self) -> tuple[Any, Any]:
        """Forward and backward."""
        forward, backward = module(self.engine).pair(self.operation, self.layout, self.dtype)
        if forward is None:
            raise NotImplementedError(f"{self.engine} has no {self.operation}")
        return forward, backward

    def judge(self, case: DesignedCase) -> CaseResult:
        """One case."""
        return judge_case(case, *self.functions(), profile=self.dtype)

    def reproducer(self, label: str) -> str:
        """A line to paste."""
        return f"engines.rerun({self.engine!r}, {self.operation!r}, {label!r}, {self.dtype!r}, {self.layout!r})"


def module(engine: str) -> Any:
    """The engine's module; the library itself is not imported yet."""
    return importlib.import_module(f"{__name__}.{ENGINES[engine]}")


def parts_of(engine: str, operations: Iterable[str] = ()) -> list[Part]:
    """Everything that an engine is asked."""
    library = module(engine)
    names = list(operations) or list(OPERATIONS)
    found = [
        Part(engine, name, layout, dtype) for name in names for dtype in library.DTYPES for layout in library.LAYOUTS
    ]
    return [
        part
        for part in found
        if library.pair(part.operation, part.layout, part.dtype)[0]
        and (part.layout == "contiguous" or _has_images(part.operation))
    ]


def run(parts: list[Part], progress: Each | None = None) -> Iterator[tuple[Part, Report]]:
    """Each part with its report."""
    for part in parts if progress is None else progress(parts, len(parts)):
        yield part, part.run()


def rerun(engine: str, operation: str, label: str, dtype: str = "float32", layout: str = "contiguous") -> CaseResult:
    """One designed case on one engine: what a reproducer calls; ``print`` explains."""
    part = Part(engine, operation, layout, dtype)
    return part.judge(next(case for case in cases_of(part) if case.label == label))


def cases_of(part: Part) -> list[DesignedCase]:
    """The designed cases for a layout: channels-last is given to all images, wherever they lay before."""
    dtype = "float32" if part.dtype == "bfloat16" else part.dtype
    found = [case for case in designed_cases(part.operation, dtype) if case.layout != "channels last"]
    if part.layout == "channels last":
        found = [case for case in found if case.layout == "contiguous" and _is_image(case)]
    return [_shortened(case) for case in found] if part.dtype == "bfloat16" else found


@functools.cache
def _has_images(operation: str) -> bool:
    return any(map(_is_image, designed_cases(operation)))


def _is_image(case: DesignedCase) -> bool:
    first = next(iter(case.arguments.arrays.values()))
    return any(array.ndim == 4 for array in (first if isinstance(first, tuple) else (first,)))


def _shortened(case: DesignedCase) -> DesignedCase:
    """Numbers that bfloat16 holds, in float32: NumPy has no bfloat16."""
    arguments = case.arguments.map(lambda array: rounded(array, 8).astype(np.float32))
    return DesignedCase(case.label, arguments, frozenset(), case.layout)
