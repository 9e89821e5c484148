"""Suspects in order: the likeliest first, and those that cannot be told apart under one rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .diagnosis import Diagnosis
from .suspects import Suspect
from .trial import Trial, error, largest

MOST = 10  # diagnoses in a list
ALIKE = 1e-9  # relative: two mistakes that differ by no more do the same there


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
