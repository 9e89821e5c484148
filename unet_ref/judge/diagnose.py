"""Which mistake is it? A wrong result against the whole bank, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from .bank import BANK
from .mistake import Arguments, Base, Mistake, Results, right
from .trial import Match, Observation, Trial, error, guarded, largest

MOST = 10  # diagnoses in a list
PAIR_NUMBERS = 1 << 16  # what a result may hold for all pairs to be tried on it, unless they are asked for
ALIKE = 1e-9  # relative: two mistakes that differ by no more do the same there

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Diagnosis:
    """A mistake, or two, that would give what came back.

    Attributes
    ----------
        mistakes: one, or two that were made together.
        rank: 1 for the best; those of one rank do the same at these arguments, and cannot be told apart there.
        tensors: the wrong tensors that are explained.
        contradicts: tensors that are right, though with this mistake they would not be (it was made elsewhere only).
        left: the largest share of an error that stays unexplained.
        cases, wrong: how many wrong results are explained, of how many.
        silent: whether the mistake leaves the results right that are right.
    """

    mistakes: tuple[Mistake, ...]
    rank: int
    tensors: tuple[str, ...]
    contradicts: tuple[str, ...]
    left: float
    cases: int
    wrong: int
    silent: bool = True

    @property
    def name(self) -> str:
        """What it is called."""
        return ", and ".join(each.name for each in self.mistakes)

    @property
    def complete(self) -> bool:
        """Whether it explains every wrong result."""
        return self.cases == self.wrong

    def __str__(self) -> str:
        lines = [f"{self.name}{self._where()}"]
        for each in self.mistakes:
            lines += [f"  {each.explanation}", f"  Mend: {each.mend}"]
            lines += [f"  Seen in {', '.join(each.seen)}."] if each.seen else []
        return "\n".join(lines)

    def _where(self) -> str:
        """Where it was made, if not throughout; how much it explains, if not everything."""
        notes = [f"in {_list(map(_title, self.tensors))} only"] if self.contradicts else []
        notes += [f"explains {self.cases} of {self.wrong} wrong results"] if not self.complete else []
        notes += ["but it would show in results that are right"] if not self.silent else []
        return f" ({'; '.join(notes)})" if notes else ""


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
    likely = dict.fromkeys([*_dividing(singles, wrong), *_pairs(wrong[hard], here, progress)])
    doubles = [
        Suspect(two, [together(two, t, [shown[each][k] for each in two]) for k, t in enumerate(wrong)])
        for two in likely
    ]
    better = [each for each in ranked(doubles, wrong, fine) if not found or each.cases > found[0].cases]
    behind = max((each.rank for each in better), default=0)
    return (better + [replace(each, rank=each.rank + behind) for each in found])[:MOST]


@dataclass(frozen=True)
class Suspect:
    """One mistake or two, and how they match each of the wrong results."""

    mistakes: tuple[Mistake, ...]
    matches: list[Match | None]

    def explains(self, k: int, trial: Trial) -> bool:
        """Whether wrong result k is explained: all its wrong tensors."""
        match = self.matches[k]
        return match is not None and match.explains == set(trial.wrong)

    @property
    def fitted(self) -> bool:
        """Whether a number in it was chosen to suit the result."""
        return any(each.fit is not None for each in self.mistakes)


def alone(mistake: Mistake, trial: Trial) -> Match | None:
    """How one mistake matches one result."""
    return trial.run(mistake) if mistake.fit is None else trial.fit(mistake)


def composed(outer: Mistake, inner: Mistake) -> Base:
    """Both mistakes: the one starts from the results of the other."""

    def base(arguments: Arguments) -> Results:
        found = inner(arguments)
        return right(arguments) if found is None else found

    def both(arguments: Arguments) -> Results:
        found = outer(arguments, base)
        return base(arguments) if found is None else found

    return both


ORDERS: tuple[tuple[int, int], ...] = ((0, 1), (1, 0))


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


def _dividing(singles: list[Suspect], wrong: list[Trial]) -> list[tuple[Mistake, ...]]:
    """The pairs of which one mistake explains some of the wrong results and the other all the rest."""
    explained = {
        suspect.mistakes[0]: found
        for suspect in singles
        if not suspect.fitted and (found := {k for k, trial in enumerate(wrong) if suspect.explains(k, trial)})
    }
    return [two for two in combinations(explained, 2) if len(explained[two[0]] | explained[two[1]]) == len(wrong)]


def _pairs(trial: Trial, shown: list[tuple[Mistake, Match]], progress: Progress | None) -> list[tuple[Mistake, ...]]:
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


# --- ranking -------------------------------------------------------------------------------------------------------


def ranked(suspects: Iterable[Suspect], wrong: list[Trial], fine: list[Trial]) -> list[Diagnosis]:
    """Those that explain anything, the likeliest first; those that do the same have one rank, the more specific first."""
    found = [(suspect, _diagnosis(suspect, wrong, fine)) for suspect in suspects]
    found = [(suspect, each) for suspect, each in found if each.cases]
    found.sort(key=lambda item: _likely(*item))
    groups: list[list[tuple[Suspect, Diagnosis]]] = []
    for item in found:
        same = next((group for group in groups if _alike(group[0], item, wrong)), None)
        if same is None:
            groups.append([item])
        else:
            same.append(item)
    for group in groups:
        group.sort(key=lambda item: _general(item[0]))
    return [replace(each, rank=k) for k, group in enumerate(groups, 1) for _, each in group][:MOST]


def _diagnosis(suspect: Suspect, wrong: list[Trial], fine: list[Trial]) -> Diagnosis:
    explained = [k for k, trial in enumerate(wrong) if suspect.explains(k, trial)]
    matches = [match for k in explained if (match := suspect.matches[k]) is not None]
    silent = all(_silent(suspect, trial) for trial in fine) if matches else True
    return Diagnosis(
        suspect.mistakes, 0,
        tuple(sorted(set().union(*(match.explains for match in matches)))),
        tuple(sorted(set().union(*(match.contradicts for match in matches)))),
        max((match.left for match in matches), default=0.0), len(matches), len(wrong), silent,
    )  # fmt: skip


def _silent(suspect: Suspect, trial: Trial) -> bool:
    """Whether a result that is right would be right with this mistake too; a factor that one may choose is then one."""
    matches = [trial.run(each) for each in suspect.mistakes if each.fit is None]
    return not any(match is not None and match.contradicts for match in matches)


def _likely(suspect: Suspect, each: Diagnosis) -> tuple[Any, ...]:
    return -each.cases, not each.silent, len(each.contradicts), suspect.fitted, each.left


def _general(suspect: Suspect) -> tuple[Any, ...]:
    """How general a mistake is: a number chosen to suit, many operations, many tensors."""
    return suspect.fitted, [(len(each.operations), len(each.affects)) for each in suspect.mistakes]


def _alike(first: tuple[Suspect, Diagnosis], item: tuple[Suspect, Diagnosis], wrong: list[Trial]) -> bool:
    """Whether two mistakes do the same to the wrong tensors: they are nearer to each other than to what came back."""
    (one, a), (other, b) = first, item
    if (a.cases, a.silent, a.contradicts) != (b.cases, b.silent, b.contradicts):
        return False
    for k, trial in enumerate(wrong):
        if one.explains(k, trial) != other.explains(k, trial):
            return False
        x, y = one.matches[k], other.matches[k]
        if x is not None and y is not None and one.explains(k, trial):
            for name in trial.wrong:
                room = max(ALIKE * largest(x.tensors[name]), error(trial.got[name], x.tensors[name]))
                if error(x.tensors[name], y.tensors[name]) > room:
                    return False
    return True


def _title(tensor: str) -> str:
    return f"the {tensor}" if tensor.startswith("output") else f"the gradient of {tensor}"


def _list(items: Iterable[str]) -> str:
    words = list(items)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
