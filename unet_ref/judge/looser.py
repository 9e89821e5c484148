"""What a right program may do that is less precise than it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import Array
from ..check.bounds import PROFILES, Profile
from .mistake import Arguments
from .rounding import rounded

NORMS = ("batch_norm", "group_norm", "batch_norm_running_stats")
LOGISTIC = ("sigmoid", "glu", "binary_cross_entropy_with_logits")
FACTORS = ("conv2d", "conv_transpose2d", "linear")  # whose factors TF32 and its like round

SHORTER = {
    "float64": ("float64-constants", "float32"),
    "float32": ("tf32", "float32-bfloat16", "bfloat16", "float16"),
    "tf32": ("float32-bfloat16", "bfloat16", "float16"),
    "float16": ("float16-accumulate",),
    "bfloat16": ("bfloat16-accumulate",),
}
FACTOR_BITS = {"tf32": 11, "float32-bfloat16": 8}
SHORT_BITS = {
    f"{name}{way}": bits for name, bits in (("bfloat16", 8), ("float16", 11)) for way in ("", "-kept", "-accumulate")
}


def looser(base: Profile, arguments: Arguments) -> list[Profile]:
    """Other algorithms in this precision, then shorter precisions; the tighter ones first."""
    name = arguments.name
    shorter = map(PROFILES.__getitem__, SHORTER.get(base.name, ()))
    return [*_algorithms(base, arguments), *(kind for kind in shorter if _concerns(kind, name))]


def _algorithms(base: Profile, arguments: Arguments) -> Iterator[Profile]:
    name = arguments.name
    if name == "conv2d" and arguments.arrays["weight"].shape[2:] == (3, 3):
        for m in (2, 4):
            yield _named(base, f"winograd{m}", f"Winograd F({m}x{m}, 3x3)", winograd=m)
    if name in NORMS:
        yield _named(base, "welford", "variance by Welford's updates", variance="welford")
    if name in (*NORMS, "cross_entropy") and f"{base.name}-kept" in PROFILES:
        yield PROFILES[f"{base.name}-kept"]
    if name in NORMS:
        yield _named(base, "one-pass", "variance in one pass", variance="one-pass")
    if name in LOGISTIC and base.u_out <= base.u_acc:
        floor = PROFILES["float32-tanh"].floor
        yield _named(base, "tanh", "sigmoid from a tanh or a fit as exact as one", floor=floor)


def _named(base: Profile, way: str, title: str, **changed: Any) -> Profile:
    return replace(base, name=f"{base.name}-{way}", title=f"{base.title}, {title}", **changed)


def _concerns(kind: Profile, name: str) -> bool:
    """Whether an operation has what this arithmetic is special in."""
    return (not kind.u_in or name in FACTORS) and (not kind.u_const or name == "gelu")


def stored(expected: Array, kind: Profile) -> Array:
    """The right answer, rounded once to how the arithmetic stores its results."""
    with np.errstate(all="ignore"):
        if kind.dtype == "bfloat16":
            return rounded(expected, SHORT_BITS["bfloat16"])
        return expected.astype(kind.dtype)


def flushed(arguments: Arguments, kind: Profile) -> Arguments | None:
    """The call with zeros in place of numbers too small for hardware that is set to be quick; ``None`` without any."""
    small = False

    def flush(array: Array) -> Array:
        nonlocal small
        tiny = (array != 0) & (np.abs(array) < kind.tiny)
        small = small or bool(tiny.any())
        return np.where(tiny, array.dtype.type(0), array)

    zeros = arguments.map(flush)
    return zeros if small else None
