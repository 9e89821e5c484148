"""Which designed case sees which mistake: every mistake of the bank planted in every case, and judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backend import Array, quiet
from .bank import applying
from .cases import DesignedCase, designed_cases
from .judge import aligned, on_host
from .mistake import Base, Mistake, right
from .tiers import Bench
from .verdict import EXACT, ROUNDING


@dataclass(frozen=True)
class Kills:
    """The table of one operation.

    Attributes
    ----------
        name: the operation. cases: the labels. mistakes: the names.
        killed: mistakes by cases: whether the judge finds a result with this mistake wrong in this case.
    """

    name: str
    cases: tuple[str, ...]
    mistakes: tuple[str, ...]
    killed: Array = field(repr=False)

    @property
    def survivors(self) -> tuple[str, ...]:
        """The mistakes that no case sees."""
        return _named(self.mistakes, ~self.killed.any(axis=1))

    @property
    def idle(self) -> tuple[str, ...]:
        """The cases that see no mistake."""
        return _named(self.cases, ~self.killed.any(axis=0))

    def by(self, mistake: str) -> tuple[str, ...]:
        """The cases that see a mistake."""
        return _named(self.cases, self.killed[self.mistakes.index(mistake)])

    def of(self, case: str) -> tuple[str, ...]:
        """The mistakes that a case sees."""
        return _named(self.mistakes, self.killed[:, self.cases.index(case)])

    def alone(self, case: str) -> tuple[str, ...]:
        """The mistakes that no other case sees."""
        once = self.killed.sum(axis=1) == 1
        return _named(self.mistakes, once & self.killed[:, self.cases.index(case)])


def _named(names: tuple[str, ...], where: Array) -> tuple[str, ...]:
    return tuple(name for name, there in zip(names, where, strict=True) if there)


def kills(
    name: str,
    profile: str = "float32",
    *,
    cases: Iterable[DesignedCase] | None = None,
    mistakes: Iterable[Mistake] | None = None,
) -> Kills:
    """The table of an operation: all its designed cases, and all mistakes that it may have.

    >>> table = kills("relu")
    >>> table.survivors, table.idle
    ((), ())
    >>> table.by("gradient passes at zero")
    ('zeros of both signs, tiny and large',)
    """
    chosen = designed_cases(name, profile) if cases is None else list(cases)
    known = applying(name) if mistakes is None else tuple(mistakes)
    columns = [seen(case, known, profile) for case in chosen]
    killed = np.array(columns, dtype=bool).reshape(len(chosen), len(known)).T
    return Kills(name, tuple(case.label for case in chosen), tuple(each.name for each in known), killed)


def seen(case: DesignedCase, runs: Iterable[Base | Mistake], profile: str = "float32") -> list[bool]:
    """For each way to compute a case whether the judge finds its results wrong; the bounds are computed once."""
    bench, fine = Bench(case.arguments, profile), right(case.arguments).tensors()

    def wrong(run: Base | Mistake) -> bool:
        with quiet():
            results = run(case.arguments)
        tensors = {} if results is None else aligned(results, bench.ladder.names())
        return any(
            not _same(value, fine[tensor]) and bench.weigh(tensor, on_host(value)).verdict not in (EXACT, ROUNDING)
            for tensor, value in tensors.items()
        )

    return [wrong(run) for run in runs]


def _same(one: Any, other: Any) -> bool:
    """The very bits: nothing to judge."""
    one, other = np.asarray(one), np.asarray(other)
    return bool(one.shape == other.shape and one.tobytes() == other.tobytes())
