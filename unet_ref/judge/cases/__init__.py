"""Designed data: for each operation of the contract, calls that no mistake survives all of."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ...backend import Array, quiet
from ..exactness import unrounded
from ..mistake import Arguments
from ..rounding import rounded
from .activation import ACTIVATION
from .convolution import CONVOLUTION
from .design import DesignedCase, Draft, Drafts, Fill
from .layouts import laid_out
from .loss import LOSS
from .normalization import NORMALIZATION
from .pooling import POOLING
from .resampling import RESAMPLING
from .sizes import with_sizes

__all__ = ["FAMILIES", "DesignedCase", "designed_case", "designed_cases"]

FAMILIES: dict[str, Drafts] = with_sizes(
    CONVOLUTION | POOLING | NORMALIZATION | ACTIVATION | RESAMPLING | LOSS
)  # fmt: skip


def designed_cases(name: str, dtype: Any = "float32") -> list[DesignedCase]:
    """All designed cases of an operation, in float16, float32 or float64; bfloat16 numbers come in float32.

    >>> [case.label for case in designed_cases("conv2d")][:3]
    ['plain', 'no bias', 'wide']
    """
    if name not in FAMILIES:
        close = difflib.get_close_matches(name, FAMILIES, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"designed_cases: {name!r} is no operation{hint}")
    if dtype == "bfloat16":
        return [_made(name, draft, _bfloat16) for draft in FAMILIES[name]() if "f" in draft.dtypes]
    dtype = np.dtype(dtype)
    if dtype.char not in ("e", "f", "d"):
        raise ValueError(f"designed_cases: dtype ({dtype}) must be float16, bfloat16, float32 or float64")
    return [_made(name, draft, lambda a: a.astype(dtype)) for draft in FAMILIES[name]() if dtype.char in draft.dtypes]


def designed_case(name: str, label: str, dtype: Any = "float32") -> DesignedCase:
    """The one of this label: what a reproducer asks for."""
    for case in designed_cases(name, dtype):
        if case.label == label:
            return case
    raise ValueError(f"designed_case: {name} has no case {label!r}")


def _bfloat16(array: Array) -> Array:
    return rounded(array, 8).astype(np.float32)


def _made(name: str, draft: Draft, cast: Callable[[Array], Array]) -> DesignedCase:
    upstream = draft.grad_output
    if upstream is None and hasattr(ops, f"{name}_backward"):
        with quiet():
            shape = getattr(ops, name)(**draft.arrays, **draft.options).shape
        upstream = np.asarray(Fill(name, draft.label, "upstream").whole(shape, 7))
    arguments = Arguments(name, dict(draft.arrays), dict(draft.options), upstream).map(cast)
    arguments = laid_out(arguments, draft.layout)
    return DesignedCase(draft.label, arguments, unrounded(arguments), draft.layout)
