"""The three tiers of a verdict on one tensor.

1. Exact: the sums of these data cannot be rounded. An error of half a unit or more is no arithmetic, whatever the order of
   the sums; a smaller one is not that of a direct sum (a transform's, a reciprocal's), unless everything is off by one
   factor.
2. Bound: outside what rounding can do in any arithmetic that is plausible: a bug. Inside a looser one only: that one.
3. Statistics: inside the bound, but not what rounding usually does: suspicious, never a bug.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..backend import Array, quiet
from ..check.bounds import Profile
from ..check.error_bound import ratio
from .choice import interval
from .exactness import units
from .ladder import Ladder
from .looser import SHORT_BITS, stored
from .mistake import Arguments
from .pattern import constant_factor, pattern
from .statistics import SUMS, Averages
from .verdict import BUG, EXACT, LOOSER, ROUNDING, VACUOUS, Finding, TensorVerdict
from .words import number

FREE = ("upsample_nearest2d",)  # where rounding, of a coordinate, decides which answer is given: any of them is right
FACTOR = 0.1  # how well the deviations of one factor agree on exact data, the products alone being rounded
TRANSFORM = 4.0  # times the widest of the bounds: what an FFT may do to any element


class Bench:
    """One call, and what is needed to judge any of its results."""

    def __init__(self, arguments: Arguments, profile: str | Profile, input_error: Any = None) -> None:
        self.arguments, self.input_error = arguments, input_error
        self.ladder = Ladder(arguments, profile)
        self.averages = Averages(arguments)

    @functools.cached_property
    def units(self) -> dict[str, float]:
        """What the terms of exact sums are multiples of; nothing is exact where factors are rounded first."""
        base = self.ladder.base
        rounds_first = base.u_in > 0 or base.u_acc > 2.0**-24 * base.steps
        return {} if rounds_first else units(self.arguments)

    def weigh(self, tensor: str, got: Array) -> TensorVerdict:
        """The verdict on one tensor."""
        base = self.ladder.base
        level = self.ladder.level(tensor, base)
        if got.shape != level.expected.shape:
            return _misfit(tensor, f"It has the shape {got.shape}, and must have {level.expected.shape}.")
        if got.dtype.kind not in "fiub" and not _is_number(got):
            return _misfit(tensor, f"It holds {got.dtype}, and must hold floating-point numbers.")
        got = got.astype(np.promote_types(level.expected.dtype, np.float64) if got.dtype.kind != "f" else got.dtype)
        with quiet():
            return self._weighed(tensor, got)

    def _weighed(self, tensor: str, got: Array) -> TensorVerdict:
        base = self.ladder.base
        level = self.ladder.level(tensor, base)
        answer = stored(level.expected, base)
        mismatch = ~(_same(got, answer) | _same(got, level.expected))  # more digits than asked for are right too
        share = ratio(got, level.expected, level.bound)
        result = functools.partial(TensorVerdict, tensor, elements=got.size, ratio=share)
        if not mismatch.any():
            return result(verdict=EXACT, tier="exact")
        several = self._several_answers(tensor, got)
        if several:
            return result(verdict=ROUNDING, tier="bound", note=several)
        weigh = self._bounded if tensor not in self.units else functools.partial(self._exact, answer=answer)
        verdict, tier, words = weigh(tensor, got, mismatch=mismatch)
        if verdict == BUG:
            wrong = mismatch if tier == "exact" else share > 1
            bound = np.zeros(got.shape) if tier == "exact" else level.bound
            finding = self._finding(tensor, got, answer, wrong, bound)
            return result(verdict=verdict, tier=tier, note=words, finding=finding)
        if verdict == LOOSER:
            finding = self._finding(tensor, got, answer, share > 1 if (share > 1).any() else mismatch, level.bound)
            return result(verdict=verdict, tier=tier, arithmetic=words, finding=finding)
        if verdict == ROUNDING and not words:
            note = self.averages.suspicion(tensor, got, level.expected, base)
            return result(verdict=verdict, tier="statistics" if note else tier, note=note)
        return result(verdict=verdict, tier=tier, arithmetic=words)

    def _exact(self, tensor: str, got: Array, *, answer: Array, mismatch: Array) -> tuple[str, str, str]:
        """The verdict where a direct sum is exact: its tier and what was recognised."""
        step = self.units[tensor]
        distance = np.abs(got.astype(np.float64) - answer.astype(np.float64))
        if (mismatch & ~(distance < step / 2)).any():
            for kind in self.ladder.kinds[1:]:
                if self.ladder.is_shorter(kind) and self._explains(kind, tensor, got, mismatch):
                    return LOOSER, "exact", kind.title
            if hidden := self._hidden(tensor, got, mismatch):
                return VACUOUS, "bound", hidden
            return BUG, "exact", f"These data are multiples of {number(step)} and small: their sums cannot be rounded."
        if constant_factor(got, answer, mismatch, FACTOR) is not None:
            return BUG, "exact", "Sums of these data cannot be rounded, and all wrong elements are off by one factor."
        found = self._bounded(tensor, got, mismatch=mismatch)
        widest = float(np.max(self.ladder.level(tensor, self.ladder.base).bound, initial=0.0))
        if found[0] == BUG and self.arguments.name in SUMS and distance.max() <= TRANSFORM * widest:
            return LOOSER, "exact", "a fast transform (FFT), for which there are no elementwise bounds"
        return found

    def _bounded(self, tensor: str, got: Array, *, mismatch: Array) -> tuple[str, str, str]:
        """The verdict where rounding is possible."""
        base = self.ladder.base
        if self._inside(base, tensor, got):
            return (VACUOUS if self._blind(base, tensor, mismatch) else ROUNDING), "bound", ""
        explain = [kind for kind in self.ladder.kinds[1:] if self._explains(kind, tensor, got, mismatch)]
        if not explain:
            hidden = self._hidden(tensor, got, mismatch)
            return (VACUOUS if hidden else BUG), "bound", hidden
        kind = explain[0]
        if kind.u_in > base.u_in:  # of those that round factors the one whose errors are of this size
            size = self.averages.relative(tensor, got, self.ladder.level(tensor, base).expected)
            kind = min((k for k in explain if k.u_in), key=lambda k: abs(np.log(size / (k.u_in / 4))))
        return (ROUNDING if kind.variance == "welford" else LOOSER), "bound", kind.title

    def _explains(self, kind: Profile, tensor: str, got: Array, mismatch: Array) -> bool:
        """Whether a looser arithmetic would give this: near enough, and with its marks."""
        return (
            self._inside(kind, tensor, got)
            and self.ladder.is_plausible(kind, tensor, got, mismatch)
            and not self._blind(kind, tensor, mismatch)
        )

    def _hidden(self, tensor: str, got: Array, mismatch: Array) -> str:
        """The arithmetic in 16 bits that could give this, and nearly anything else: PyTorch's sums of half types."""
        for kind in self.ladder.kinds[1:]:
            of_its_own = kind.name in SHORT_BITS and kind.dtype == self.ladder.base.dtype
            if of_its_own and self._inside(kind, tensor, got) and self.ladder.is_plausible(kind, tensor, got, mismatch):
                return kind.title
        return ""

    def _inside(self, kind: Profile, tensor: str, got: Array) -> bool:
        level = self.ladder.level(tensor, kind)
        return bool((ratio(got, level.expected, level.bound) <= 1).all())

    def _blind(self, kind: Profile, tensor: str, mismatch: Array) -> bool:
        """Whether the bound is wider than the numbers, at most of the elements that are not exact."""
        level = self.ladder.level(tensor, kind)
        if level.vacuous[mismatch].mean() < 0.5:
            return False
        return float(np.mean(level.bound[mismatch] > self.ladder.signal(tensor))) >= 0.5

    def _several_answers(self, tensor: str, got: Array) -> str:
        """By which rule another right answer was given; empty if it was not."""
        level = self.ladder.level(tensor, self.ladder.base)
        if self.input_error is not None:
            low, high = interval(tensor, self.arguments, self.input_error, self.ladder.base)
            if ((got >= low) & (got <= high)).all():
                return "What the rounding of x may have decided was decided otherwise; the rest is right."
        if level.choice is None or self.arguments.name not in FREE:
            return ""
        allowed = level.bound + level.choice.allowance
        inside = ratio(got, level.expected, allowed) <= 1
        return f"Another right answer than the reference's rule gives: {level.choice.rule}." if inside.all() else ""

    def _finding(self, tensor: str, got: Array, answer: Array, wrong: Array, bound: Array) -> Finding:
        error = np.abs(got.astype(np.float64) - answer.astype(np.float64))
        share = np.where(wrong, np.nan_to_num(error / np.where(bound > 0, bound, 1e-300), nan=np.inf), -1)
        worst = int(np.lexsort((np.nan_to_num(error, nan=np.inf).ravel(), share.ravel()))[-1])
        index = tuple(int(i) for i in np.unravel_index(worst, got.shape))
        facts = pattern(tensor, got, answer, wrong, self.arguments)
        level = self.ladder.level(tensor, self.ladder.base)
        if level.choice is not None and (~wrong | (level.choice.allowance > 0)).all():
            facts = (f"Only where several answers are possible. The rule here: {level.choice.rule}.", *facts)
        e, b = float(error[index]), float(bound[index])
        return Finding(
            tensor, index, float(got[index]), float(answer[index]), e, b, e / b if b > 0 else float("inf"),
            int(wrong.sum()), got.size, facts,
        )  # fmt: skip


def _same(got: Array, answer: Array) -> Array:
    return (got == answer) | (np.isnan(got) & np.isnan(answer))


def _misfit(tensor: str, detail: str) -> TensorVerdict:
    return TensorVerdict(tensor, BUG, "exact", 0, finding=Finding(tensor, detail=detail))


def _is_number(array: Array) -> bool:
    """Whether a foreign dtype (bfloat16 of ml_dtypes) can be read as numbers."""
    try:
        array.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return bool(array.dtype.kind == "V")
