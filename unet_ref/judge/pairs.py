"""Two mistakes made together: how they match a result, and which pairs of all those in the bank are worth a look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from .mistake import Arguments, Base, Mistake, Results, right
from .suspects import Suspect
from .trial import Match, Trial, guarded

ORDERS: tuple[tuple[int, int], ...] = ((0, 1), (1, 0))

Progress = Callable[[int, int], None]


def composed(outer: Mistake, inner: Mistake) -> Base:
    """Both mistakes: the one starts from the results of the other."""

    def base(arguments: Arguments) -> Results:
        found = inner(arguments)
        return right(arguments) if found is None else found

    def both(arguments: Arguments) -> Results:
        found = outer(arguments, base)
        return base(arguments) if found is None else found

    return both


def together(
    two: tuple[Mistake, ...], trial: Trial, singly: Sequence[Match | None], orders: Sequence[tuple[int, int]] = ORDERS
) -> Match | None:
    """How two mistakes match one result: one upon the other, or each in tensors of its own, or one of them alone."""
    wrong, one, other = set(trial.wrong), singly[0], singly[1]
    found = [one, other, _merged(trial, one, other)]
    for first, second in orders:
        both = composed(two[first], two[second])
        results = guarded(lambda both=both: both(trial.arguments))
        match = None if results is None else trial.match(results, run=both)
        found += [match, *(_merged(trial, single, match) for single in singly)]
    fits = [match for match in found if match is not None and match.explains == wrong]
    return min(fits, key=lambda match: (len(match.contradicts), match.left), default=None)


def _merged(trial: Trial, one: Match | None, other: Match | None) -> Match | None:
    """The tensors that one match explains, and all others from another."""
    if one is None or other is None:
        return None
    return trial.match_tensors(other.tensors | {name: one.tensors[name] for name in one.explains})


def dividing(singles: list[Suspect], wrong: list[Trial]) -> list[tuple[Mistake, ...]]:
    """The pairs of which one mistake explains some of the wrong results and the other all the rest."""
    explained = {
        suspect.mistakes[0]: found
        for suspect in singles
        if not suspect.fitted and (found := {k for k, trial in enumerate(wrong) if suspect.explains(k, trial)})
    }
    return [two for two in combinations(explained, 2) if len(explained[two[0]] | explained[two[1]]) == len(wrong)]


def explaining(
    trial: Trial, shown: list[tuple[Mistake, Match]], progress: Progress | None
) -> list[tuple[Mistake, ...]]:
    """The pairs that explain a result. What only one of the two changes, that one has to explain alone."""
    wrong = set(trial.wrong)
    likely = [
        (one, other)
        for one, other in combinations(shown, 2)
        if wrong <= one[1].changes | other[1].changes
        and (one[1].changes - other[1].changes) & wrong <= one[1].explains
        and (other[1].changes - one[1].changes) & wrong <= other[1].explains
    ]
    found: list[tuple[Mistake, ...]] = []
    for done, ((one, a), (other, b)) in enumerate(likely):
        if progress is not None:
            progress(done, len(likely))
        two: tuple[Mistake, Mistake] = (one, other)
        orders = ORDERS
        if any(name.startswith("output") for name in a.changes & b.changes & wrong):
            orders = tuple(order for order in ORDERS if _output_fits(trial, two[order[0]], two[order[1]]))
        match = together(two, trial, (a, b), orders)
        if match is not None and match.explains == wrong:
            found.append(two)
    return found


def _output_fits(trial: Trial, outer: Mistake, inner: Mistake) -> bool:
    """Whether the output alone, which is computed sooner, leaves it possible that one was made upon the other."""
    both = composed(outer, inner)
    results = guarded(lambda: both(trial.arguments._replace(grad_output=None)))
    match = None if results is None else trial.match(results, run=both)
    return match is not None and {name for name in trial.wrong if name.startswith("output")} <= match.explains
