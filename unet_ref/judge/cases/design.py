"""What a designed case is, and the numbers that it is filled with.

The numbers are small whole ones of both signs: their products and sums are exact in every floating-point type, so that
a mismatch cannot be rounding. None is 0, and hardly any two neighbours are alike, so that no pixel can stand in for
another. Every case draws from a generator of its own, seeded by its name: a new case changes no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...backend import Array
from ..mistake import Arguments


@dataclass(frozen=True)
class DesignedCase:
    """One call that some mistake does not survive.

    Attributes
    ----------
        label: what is special about it, in a few words; no other case of the operation has it.
        arguments: the whole call, with the upstream gradient.
        exact: the results that a direct computation gives without rounding: ``"output"``, and gradients by argument.
        layout: how the arrays lie in memory.
    """

    label: str
    arguments: Arguments
    exact: frozenset[str] = field(default=frozenset())
    layout: str = "contiguous"

    @property
    def name(self) -> str:
        """The operation."""
        return self.arguments.name


class Draft(NamedTuple):
    """A case before it has a dtype, an upstream gradient and a place in memory."""

    label: str
    arrays: dict[str, Any]
    options: dict[str, Any]
    layout: str = "contiguous"
    grad_output: Any = None  # by default whole numbers in the output's shape
    dtypes: str = "efd"  # that have room for its numbers: float16, float32, float64


Drafts: TypeAlias = Callable[[], Iterator[Draft]]


class Fill:
    """The numbers of one case."""

    def __init__(self, *seed: str) -> None:
        self.rng = np.random.default_rng(zlib.crc32(" ".join(seed).encode()))

    def whole(self, shape: tuple[int, ...], most: int = 9) -> Array:
        """Whole numbers from 1 to ``most`` of both signs."""
        return self.rng.integers(1, most + 1, shape) * self.rng.choice([-1.0, 1.0], shape)

    def distinct(self, shape: tuple[int, ...]) -> Array:
        """Whole numbers around 0, every one another, in random order."""
        count = int(np.prod(shape))
        numbers = np.arange(1, count + 1) * 1.0 - (count + 1) // 2
        return self.rng.permutation(numbers - (numbers <= 0)).reshape(shape)

    def real(self, shape: tuple[int, ...], spread: float = 1.0) -> Array:
        """Numbers with all their digits."""
        return spread * self.rng.standard_normal(shape)


def special(x: Array, **places: tuple[int, ...]) -> Array:
    """A copy of ``x`` with ``nan``, ``inf`` or ``minus`` (infinity) at one index each."""
    x = x.copy()
    for value, index in places.items():
        x[index] = {"nan": np.nan, "inf": np.inf, "minus": -np.inf}[value]
    return x
