"""The arithmetics that a result is tried against: the one asked for, then looser ones that a right program may use."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..check.bounds import Choice, Profile, profile_of
from ..check.error_bound import error_bound, ratio
from .looser import FACTOR_BITS, LOGISTIC, NORMS, SHORT_BITS, looser
from .mistake import Arguments, Results, right
from .pattern import constant_factor
from .rounding import rounded

BENT = (*LOGISTIC, "gelu", "cross_entropy")
ONE_FACTOR = 0.1  # how well the deviations of one factor agree where there is some rounding too
USED = 5e-4  # the share of a shorter arithmetic's bound that half of the results to be explained use at the least


class Level(NamedTuple):
    """One tensor in one arithmetic: the right answer, how far from it rounding can lead, where that says nothing."""

    expected: Array
    bound: Array
    vacuous: Array
    choice: Choice | None


class Ladder:
    """The arithmetics for one call, the one asked for first; each computed when it is asked for, once."""

    def __init__(self, arguments: Arguments, profile: str | Profile) -> None:
        self.arguments = arguments
        self.base = profile_of(profile)
        self.kinds = [self.base, *looser(self.base, arguments)]
        self.at = functools.cache(self._at)

    def level(self, tensor: str, kind: Profile) -> Level:
        """The tensor in this arithmetic."""
        expected, bound, vacuous, choices = self.at(kind)
        return Level(expected[tensor], bound[tensor], vacuous[tensor], choices.get(tensor))

    def names(self) -> list[str]:
        """The tensors that there should be."""
        return list(self.at(self.base)[0])

    def _at(self, kind: Profile) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Choice]]:
        name, arrays, options, grad_output = self.arguments
        bounds = error_bound(name, arrays, options, grad_output, kind)
        vacuous = dict(bounds.vacuous)
        parts = [bounds.reference, (bounds.output, bounds.grads), (vacuous.pop("output"), vacuous)]
        expected, bound, blind = (_tensors(*part) for part in parts)
        return expected, bound, blind, bounds.choices

    def signal(self, tensor: str) -> float:
        """How large the tensor is in general, where the arguments at hand may happen to cancel or to saturate.

        For random upstream gradients of this size; at arguments of these sizes for sums, near 0 for the bent functions;
        a norm's x stays, since its spread decides.
        """
        rng = np.random.default_rng(0)

        def scattered(array: Array) -> Array:
            known = np.where(np.isfinite(array), array, 0).astype(np.float64)
            size = np.sqrt(np.mean(known**2)) if known.size else 0.0
            return np.asarray(size * rng.uniform(0.5, 1.5, array.shape) * rng.choice([-1, 1], array.shape))

        name, arrays, _, upstream = self.arguments.map(lambda array: array.astype(np.float64))
        if name in BENT:
            arrays = arrays | {"x": rng.standard_normal(arrays["x"].shape)}
        elif name not in NORMS:
            arrays = self.arguments.map(scattered).arrays
        upstream = upstream if upstream is None else scattered(upstream)
        values = right(self.arguments._replace(arrays=arrays, grad_output=upstream)).tensors()[tensor]
        size = float(np.sqrt(np.nanmean(np.square(values)))) if values.size else 0.0
        return max(size, self._norm_slope()) if tensor == "x" and name in NORMS else size

    def _norm_slope(self) -> float:
        """``weight * dy / sqrt(variance + eps)`` on the average: of two values' gradient the rest cancels all."""
        arrays, options = self.arguments.arrays, self.arguments.options
        x, G = arrays["x"].astype(np.float64), options.get("num_groups")
        sets = x.reshape(x.shape[0] * G, -1) if G else np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
        spread = float(np.nanmedian(np.var(sets, axis=1))) + options.get("eps", 1e-5)
        weight, dy = (
            1.0 if array is None else float(np.sqrt(np.mean(np.square(array.astype(np.float64)))))
            for array in (arrays["weight"], self.arguments.grad_output)
        )
        return float(weight * dy / np.sqrt(spread))

    def is_shorter(self, kind: Profile) -> bool:
        """Whether numbers have fewer digits in it than in the arithmetic that was asked for."""
        return kind.u_acc > self.base.u_acc or kind.u_out > self.base.u_out

    def is_plausible(self, kind: Profile, tensor: str, got: Array, mismatch: Array) -> bool:
        """Whether this arithmetic would leave such marks; a bound alone is wide enough to hide a mistake in.

        Results that are stored in 16 bits have few digits. Factors that have few digits anyway lose none when they are
        rounded; when they do, or are transformed, errors are everywhere, and not all in one proportion.
        """
        if kind.name in SHORT_BITS:
            return bool(np.all(_same(got, rounded(got, SHORT_BITS[kind.name]))))
        if kind.variance != self.base.variance or kind.u_const > 0:
            return True
        if kind.floor > 0:  # 1/2 + something: of small results too the last digit is one of a number near 1/2
            steps = got * (4 / kind.u_acc) if (tensor, self.arguments.name) == ("output", "sigmoid") else 0 * got
            return bool(np.all(_same(steps, np.rint(steps))))
        if kind.u_in > self.base.u_in and self._digits <= FACTOR_BITS.get(kind.name, 0):
            return False
        expected, bound = self.level(tensor, kind)[:2]
        wrong = self._wrong(tensor, got) if kind.winograd is None else mismatch
        if wrong.sum() * 4 < wrong.size or constant_factor(got, expected, mismatch, ONE_FACTOR) is not None:
            return False
        counts = wrong & (bound > 0)
        used = np.abs(got - expected)[counts] / bound[counts]
        return kind.winograd is not None or bool(np.median(used) > USED)

    def _wrong(self, tensor: str, got: Array) -> Array:
        """Where the result is outside the arithmetic that was asked for: what a looser one has to explain."""
        expected, bound = self.level(tensor, self.base)[:2]
        return ratio(got, expected, bound) > 1

    @functools.cached_property
    def _digits(self) -> int:
        """How many significant bits the arguments have at most."""
        values = Results(self.arguments.grad_output, self.arguments.arrays).tensors().values()
        arrays = [array for array in values if array is not None and array.dtype.kind == "f"]
        exact = [bits for bits in (8, 11) if all(np.all(_same(array, rounded(array, bits))) for array in arrays)]
        return min(exact, default=53)


def _tensors(output: Any, grads: dict[str, Any]) -> dict[str, Any]:
    return Results(output, {name: grad for name, grad in grads.items() if grad is not None}).tensors()


def _same(a: Array, b: Array) -> Array:
    return (a == b) | (np.isnan(a) & np.isnan(b))
