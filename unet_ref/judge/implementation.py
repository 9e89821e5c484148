"""The judge of an implementation: every designed case of an operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..check.bounds import Profile, profile_of
from .candidate import Backward, Forward, RefusedError, Trial
from .cases import DesignedCase, designed_cases
from .causes import common_cause
from .judge import verdict_on
from .mistake import right
from .report import CaseResult, Report


def judge_implementation(
    name: str,
    forward: Forward,
    backward: Backward | None = None,
    *,
    profile: str | Profile = "float32",
    cases: Iterable[DesignedCase] | None = None,
    progress: Callable[[Iterable[DesignedCase], int], Iterable[DesignedCase]] | None = None,
) -> Report:
    """Is this implementation right? If not, which mistake is it?

    Arguments:
        name: the operation.
        forward: called as ``forward(*arrays, **options)``, with NumPy arrays and all options of the contract that are not
            the default; returns an array (``batch_norm_running_stats``: two).
        backward: called as ``backward(grad_output, *arrays, **options)``; returns gradients as a named tuple, a dict by
            argument, or a sequence in the signature's order. Without it the forward pass alone is judged.
        profile: the arithmetic that it is said to use, which decides the dtype too.
        cases: other cases than the designed ones.
        progress: wraps the cases as they are gone through.

    A candidate that raises, returns something else than arrays of the right shape and dtype, changes its inputs, hands out
    memory that is not its caller's or gives other bits in a second call is told so. ``NotImplementedError`` skips a case.

    >>> from unet_ref import ops
    >>> judge_implementation("conv2d", ops.conv2d, ops.conv2d_backward).ok
    True
    """
    kind = profile_of(profile)
    chosen = designed_cases(name, kind.dtype) if cases is None else list(cases)
    each = chosen if progress is None else progress(chosen, len(chosen))
    results = tuple(judge_case(case, forward, backward, profile=kind) for case in each)
    return Report(name, kind.name, results, common_cause(results))


def judge_case(
    case: DesignedCase, forward: Forward, backward: Backward | None = None, *, profile: str | Profile = "float32"
) -> CaseResult:
    """One case; ``print`` explains."""
    arguments = case.arguments if backward is not None else case.arguments._replace(grad_output=None)
    try:
        trial = Trial(arguments, forward, backward, right(arguments))
    except RefusedError as refused:
        return CaseResult(case, profile_of(profile).name, None, (), str(refused))
    verdict = verdict_on(arguments, trial.results, profile, diagnosed=False)
    return CaseResult(case, profile_of(profile).name, verdict, tuple(trial.problems))


def judge_results(
    pairs: Iterable[tuple[DesignedCase, Any]], name: str, profile: str | Profile = "float32"
) -> Report:  # fmt: skip
    """Results that were made elsewhere: pairs of a case and its ``Results``, or ``None`` where there are none."""
    kind = profile_of(profile)

    def each() -> Iterator[CaseResult]:
        for case, results in pairs:
            if results is None:
                yield CaseResult(case, kind.name, None, (), "no result")
            else:
                yield CaseResult(case, kind.name, verdict_on(case.arguments, results, kind, diagnosed=False), ())

    found = tuple(each())
    return Report(name, kind.name, found, common_cause(found))
