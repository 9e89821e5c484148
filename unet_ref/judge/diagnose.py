"""Which mistake is it? A wrong result against the whole bank, on the same inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .bank import BANK
from .diagnosis import Diagnosis
from .mistake import Arguments, Mistake, Results
from .pairs import Progress, dividing, explaining, together
from .ranking import MOST, ranked
from .suspects import Suspect, alone
from .trial import Observation, Trial

PAIR_NUMBERS = 1 << 16  # what a result may hold for all pairs to be tried on it, unless they are asked for


def diagnose(
    arguments: Arguments,
    got: Results | Mapping[str, Any],
    bounds: Mapping[str, Any] | None = None,
    *,
    bank: Sequence[Mistake] = BANK,
    pairs: bool | None = None,
    progress: Progress | None = None,
) -> list[Diagnosis]:
    """The mistakes that explain a wrong result, the likeliest first; none where the result is right or none fits.

    Arguments:
        arguments: the call. got: what came back (``Results``, or arrays by tensor: ``output``, ``x``, ``weight``, ...);
            only what is there is looked at.
        bounds: how far rounding can lead, elementwise or as one number, by tensor; measured where it is missing.
        bank: the mistakes to choose from.
        pairs: whether two mistakes together are tried where no single one fits; by default if the result is small.
        progress: ``progress(done, total)`` while they are.

    >>> import numpy as np
    >>> x, weight = np.arange(12.0).reshape(1, 3, 4), np.array([[[[1.0, 2.0]]]])
    >>> call = Arguments("conv2d", {"x": x, "weight": weight}, {})
    >>> diagnose(call, Results(2 * x[..., :-1] + x[..., 1:], {}))[0].name
    'kernel flipped'
    """
    return diagnose_all([Observation(arguments, got, bounds)], bank=bank, pairs=pairs, progress=progress)


def diagnose_all(
    observations: Iterable[Observation],
    *,
    bank: Sequence[Mistake] = BANK,
    pairs: bool | None = None,
    progress: Progress | None = None,
) -> list[Diagnosis]:
    """The mistakes that explain several results of one implementation: the wrong ones, without touching the right ones.

    The operation is the same in all of them.
    """
    trials = sorted((Trial(observation) for observation in observations), key=lambda trial: trial.size)
    wrong, fine = ([t for t in trials if bool(t.wrong) == kind] for kind in (True, False))
    if not wrong:
        return []
    known = [each for each in bank if wrong[0].arguments.name in each.operations]
    singles = [Suspect((each,), [alone(each, t) for t in wrong]) for each in known]
    found = ranked(singles, wrong, fine)
    if found and found[0].complete:
        return found
    hard = next((k for k, t in enumerate(wrong) if not any(s.explains(k, t) for s in singles)), 0)
    if pairs is False or (pairs is None and wrong[hard].size > PAIR_NUMBERS):
        return found
    shown = {s.mistakes[0]: s.matches for s in singles if not s.fitted and any(s.matches)}
    here = [(each, match) for each, matches in shown.items() if (match := matches[hard]) is not None]
    likely = dict.fromkeys([*dividing(singles, wrong), *explaining(wrong[hard], here, progress)])
    doubles = [
        Suspect(two, [together(two, t, [shown[each][k] for each in two]) for k, t in enumerate(wrong)])
        for two in likely
    ]
    better = [each for each in ranked(doubles, wrong, fine) if not found or each.cases > found[0].cases]
    behind = max((each.rank for each in better), default=0)
    return (better + [replace(each, rank=each.rank + behind) for each in found])[:MOST]
