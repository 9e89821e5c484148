"""One wrong result beside the right one and beside what a mistake would have given: how far apart is the same?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..backend import quiet
from .bank.memory import cast
from .mistake import Arguments, Base, Mistake, Results, right

LEFT = 0.25  # what a mistake may leave of the error that it is to explain
ROOM = 32  # times the rounding that was measured
ULPS = 16  # of a tensor's largest element


class Observation(NamedTuple):
    """A call, what a candidate returned (or its tensors by name), and how far off rounding may be, by tensor.

    Without bounds they are measured: what the reference itself loses in the candidate's dtype.
    """

    arguments: Arguments
    got: Results | Mapping[str, Any]
    bounds: Mapping[str, Any] | None = None


class Match(NamedTuple):
    """How well a mistake explains a result.

    Attributes
    ----------
        explains: the wrong tensors that it has as they are. contradicts: the right ones that it would have wrong.
        left: the largest share of an error that it leaves unexplained.
        changes: all tensors that it has otherwise than the reference.
        tensors: its results.
    """

    explains: frozenset[str]
    contradicts: frozenset[str]
    left: float
    changes: frozenset[str]
    tensors: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """An observation with all that is computed from it once."""

    observation: Observation
    narrow: Arguments = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "narrow", self.observation.arguments.map(np.asarray))

    @cached_property
    def arguments(self) -> Arguments:
        """The call in float64 (float32 and float16 convert exactly), laid out in memory as it was."""
        return self.narrow.map(_widened)

    @cached_property
    def got(self) -> dict[str, Any]:
        """What the candidate returned, by tensor; without what it did not return."""
        got = self.observation.got
        tensors = got.tensors() if isinstance(got, Results) else dict(got)
        return {name: np.asarray(array) for name, array in tensors.items() if array is not None}

    @cached_property
    def results(self) -> Results:
        """The same as ``Results``, for mistakes that look at what they have to explain."""
        got = self.observation.got
        if isinstance(got, Results):
            return got
        output = [array for name, array in self.got.items() if name.startswith("output")]
        parts: dict[str, Any] = {}
        for name, array in self.got.items():
            if not name.startswith("output"):
                parts.setdefault(name.split("[")[0], []).append(array)
        grads = {name: tuple(found) if f"{name}[0]" in self.got else found[0] for name, found in parts.items()}
        return Results(output[0] if len(output) == 1 else tuple(output) or None, grads)

    @cached_property
    def right(self) -> dict[str, Any]:
        """What it should have returned."""
        return {name: np.asarray(array) for name, array in right(self.arguments).tensors().items()}

    @cached_property
    def rounding(self) -> dict[str, float]:
        """For each tensor how far from the right one its largest rounding error may be."""
        given, measured = self.observation.bounds or {}, {}
        short = {} if all(name in given for name in self.right) else self._short()
        for name, expected in self.right.items():
            if name in given:
                bound = np.asarray(given[name], dtype=float)
                measured[name] = float(np.max(bound, initial=0, where=np.isfinite(bound)))
            else:
                measured[name] = ROOM * short[name] + self.unit * largest(expected)
        return measured

    @cached_property
    def unit(self) -> float:
        """The rounding of a number of size 1 in the candidate's dtype, with room."""
        dtype = next((array.dtype for array in self.got.values() if array.dtype.kind in "fc"), np.dtype(object))
        return 0.0 if dtype == object else ULPS * float(np.finfo(dtype).eps)

    def _short(self) -> dict[str, float]:
        """What the reference loses by rounding; of float64 the measure is what float32 loses, scaled down."""
        return dict.fromkeys(self.right, 0.0) | self._lost(right)

    def _lost(self, run: Base | Mistake) -> dict[str, float]:
        """What a computation loses by rounding, by tensor; nothing where it cannot be made."""
        if {array.dtype.kind for array in self.got.values()} <= {"O"}:
            return {}
        eps = self.unit / ULPS
        dtype = np.float16 if eps > 1e-4 else np.float32
        short = self.narrow.map(lambda array: cast(array, _like(array, dtype)))
        exact, rounded = (guarded(lambda a=arguments: run(a)) for arguments in (short.map(_widened), short))
        if exact is None or rounded is None:
            return {}
        scale, found = min(1.0, eps / float(np.finfo(dtype).eps)), rounded.tensors()
        return {name: scale * finite_error(found[name], array) for name, array in exact.tensors().items()}

    @cached_property
    def wrong(self) -> dict[str, float]:
        """The tensors that are wrong, and by how much at most."""
        found = {}
        for name, array in self.got.items():
            if name in self.right:
                bound = (self.observation.bounds or {}).get(name, self.rounding[name])
                if outside(array, self.right[name], bound):
                    found[name] = error(array, self.right[name])
        return found

    @property
    def size(self) -> int:
        """How many numbers there are: what trying costs."""
        return sum(array.size for array in self.right.values())

    def run(self, mistake: Mistake) -> Match | None:
        """The mistake at these arguments, beside what came back; ``None`` where it does not show."""
        results = guarded(lambda: mistake(self.narrow if mistake.narrow else self.arguments))
        return None if results is None else self.match(results, rough=mistake.narrow, run=mistake)

    def fit(self, mistake: Mistake) -> Match | None:
        """The same with the number that suits the result best, where the mistake has one."""
        results = guarded(lambda: mistake.fitted(self.narrow if mistake.narrow else self.arguments, self.results))
        return None if results is None else self.match(results, rough=mistake.narrow)

    def match(self, results: Results, *, rough: bool = False, run: Base | Mistake | None = None) -> Match | None:
        """Results with a mistake beside what came back; ``None`` where they are the right ones.

        ``rough``: rounding is part of the mistake, so that most of the error is all that it can explain. ``run``: what
        gave the results, for a mistake that is more sensitive to rounding than the right operation.
        """
        tensors = {name: np.asarray(array) for name, array in results.tensors().items()}
        return self.match_tensors(tensors, rough=rough, run=run)

    def match_tensors(
        self, tensors: dict[str, Any], *, rough: bool = False, run: Base | Mistake | None = None
    ) -> Match | None:
        """The same for results by tensor."""
        changes = frozenset(
            n for n, array in tensors.items() if n in self.right and self._apart(n, array, self.right[n])
        )
        if not changes:
            return None
        explains, left, lost = set(), 0.0, None
        for name, size in self.wrong.items():
            if name not in changes:
                continue
            distance = error(self.got[name], tensors[name])
            room = np.inf if rough else self._room(name, tensors[name])
            if run is not None and room < distance <= LEFT * size:
                lost = self._lost(run) if lost is None else lost
                room = max(room, ROOM * lost.get(name, 0.0))
            if np.isfinite(distance) and distance <= min(room, LEFT * size):
                explains.add(name)
                left = max(left, distance / _size(size, tensors[name]))
        contradicts = frozenset(changes - set(self.wrong)) & set(self.got)
        return Match(frozenset(explains), contradicts, left, changes, tensors)

    def _apart(self, name: str, one: Any, other: Any) -> bool:
        """Whether two versions of a tensor differ by more than rounding."""
        return error(one, other) > self._room(name, other)

    def _room(self, name: str, other: Any) -> float:
        """How far rounding leads in another version of a tensor, which may be larger than the right one."""
        scale = largest(self.right[name])
        relative = self.rounding[name] / scale if scale > 0 else 0.0
        return max(self.rounding[name], max(relative, self.unit) * largest(other))


def guarded(run: Any) -> Results | None:
    """What ``run()`` returns; ``None`` where the arguments of one mistake are too much for another."""
    try:
        with quiet():
            found: Results | None = run()
    except (ValueError, TypeError, IndexError, KeyError, ArithmeticError):
        return None
    return found


def error(one: Any, other: Any) -> float:
    """The largest distance of two elements; infinite where one is NaN or infinite and the other is not, or the shapes differ."""
    if one.shape != other.shape:
        return float("inf")
    if one.dtype == object:
        return float(max((abs(a - b) for a, b in zip(one.flat, other.flat, strict=True)), default=0))
    with quiet():
        distance = np.abs(one.astype(np.result_type(one, np.float64)) - other)
    same = (one == other) | ((one != one) & (other != other))  # noqa: PLR0124
    distance = np.where(same, 0, np.where(np.isnan(distance), np.inf, distance))
    return float(distance.max(initial=0))


def finite_error(one: Any, other: Any) -> float:
    """The largest distance among those that are finite."""
    with quiet():
        distance = np.abs(np.asarray(one).astype(np.result_type(one, np.float64)) - other)
    return float(np.max(distance, initial=0, where=np.isfinite(distance)))


def outside(got: Any, expected: Any, bound: Any) -> bool:
    """Whether any element is further out than its bound."""
    if got.shape != expected.shape:
        return True
    if got.dtype == object:
        return bool((got != expected).any())
    with quiet():
        distance = np.abs(got.astype(np.result_type(got, np.float64)) - expected)
    same = (got == expected) | ((got != got) & (expected != expected))  # noqa: PLR0124
    return bool((~(same | (distance <= bound))).any())


def largest(array: Any) -> float:
    """The largest finite absolute value."""
    if array.dtype == object:
        return float(max(map(abs, array.flat), default=0))
    return float(np.max(np.abs(array), initial=0, where=np.isfinite(array)))


def _size(size: float, tensor: Any) -> float:
    """What an error is measured by: itself, or where that is infinite the tensor."""
    return size if np.isfinite(size) else largest(tensor) or 1.0


def _like(array: Any, dtype: Any) -> Any:
    """The dtype, or the complex one of its precision where the array is complex."""
    return np.result_type(dtype, np.complex64) if array.dtype.kind == "c" else dtype


def _widened(array: Any) -> Any:
    return cast(array, np.promote_types(array.dtype, np.float64)) if array.dtype.kind in "fc" else array
