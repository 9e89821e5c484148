"""The names of the mistakes that would give what came back, for a verdict and for a report."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

from .ladder import Ladder
from .mistake import Arguments

CASES = 8  # wrong ones, and right ones, that the mistakes of the bank are tried on: small ones, which are quick
NUMBERS = 2_000  # in the largest of them, for which two mistakes together are tried too

Observed = tuple[Arguments, Mapping[str, Any], Ladder]


class Part(NamedTuple):
    """The diagnoses for some of the cases; ``where`` says which, if not all."""

    where: str
    found: tuple[Any, ...]


@dataclass(frozen=True)
class Causes(Sequence[Any]):
    """Diagnoses, the likeliest first; empty where no known mistake explains what came back. ``print`` explains."""

    parts: tuple[Part, ...]

    @property
    def _all(self) -> list[Any]:
        """The best of every part before the second best of any."""
        return sorted((each for part in self.parts for each in part.found), key=lambda each: each.rank)

    def __len__(self) -> int:
        return len(self._all)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._all[index]

    def __str__(self) -> str:
        return "\n".join(line for part in self.parts for line in _explained(part))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data."""
        return [
            {"where": part.where, "mistakes": [mistake.name for mistake in each.mistakes], "rank": each.rank,
             "explanation": [m.explanation for m in each.mistakes], "mend": [m.mend for m in each.mistakes],
             "tensors": list(each.tensors), "explains": each.cases, "wrong": each.wrong}
            for part in self.parts
            for each in part.found
        ]  # fmt: skip


def cause(arguments: Arguments, tensors: Mapping[str, Any], ladder: Ladder) -> Causes:
    """What ``diagnose`` finds for one result."""
    return Causes((Part("", _diagnosed([(arguments, tensors, ladder)])),))


def common_cause(results: Iterable[Any], profile: Any = None) -> Causes | None:  # noqa: ARG001
    """The mistakes that explain the wrong ones of a report's cases together, and leave the right ones right.

    Where no one explains all of them they may be several: then those cases are looked at together in which the same
    tensors are wrong. ``None`` where no case has a bug in its numbers.
    """
    verdicts = [result.verdict for result in results if result.verdict is not None and result.verdict.tensors]
    verdicts.sort(key=lambda verdict: sum(tensor.elements for tensor in verdict.tensors))
    wrong = [verdict for verdict in verdicts if verdict.verdict == "bug"]
    right = [verdict for verdict in verdicts if verdict.ok]
    if not wrong:
        return None
    groups: dict[str, list[Any]] = {}
    for verdict in wrong:
        groups.setdefault(" and ".join(_wrong(verdict)), []).append(verdict)
    spread = [verdict for k in range(CASES) for group in groups.values() for verdict in group[k : k + 1]]
    together = _of_verdicts(spread, right)
    if len(groups) == 1 or (together and together[0].complete):
        return Causes((Part("", together),))
    apart = tuple(Part(where, _of_verdicts(group, right)) for where, group in groups.items())
    return Causes(apart)


def _wrong(verdict: Any) -> list[str]:
    return [tensor.tensor for tensor in verdict.tensors if tensor.verdict == "bug"]


def _of_verdicts(wrong: Sequence[Any], right: Sequence[Any]) -> tuple[Any, ...]:
    return _diagnosed([(each.arguments, each.got, each.ladder) for each in [*wrong[:CASES], *right[:CASES]]])


def _diagnosed(observed: Sequence[Observed]) -> tuple[Any, ...]:
    diagnose = importlib.import_module("unet_ref.judge.diagnose")  # needs the whole bank: only where something is wrong
    observations = [
        diagnose.Observation(arguments, dict(tensors), ladder.at(ladder.base)[1])
        for arguments, tensors, ladder in observed
    ]
    small = max(sum(t.size for t in tensors.values()) for _, tensors, _ in observed) <= NUMBERS
    return tuple(diagnose.diagnose_all(observations, pairs=None if small else False))


def _explained(part: Part) -> Iterator[str]:
    """For a person: the likeliest mistake, and what cannot be told from it here; or that none is known."""
    if part.where:
        yield f"Where {_titles(part.where)} wrong:"
    if not part.found:
        yield "None of the known mistakes explains this, nor two of them together."
        return
    best = part.found[0]
    yield from f"Looks like: {best}".splitlines()
    same = [each.name for each in part.found[1:] if each.rank == best.rank]
    if same:
        yield f"The same numbers would come from: {'; '.join(same)}."


def _titles(where: str) -> str:
    names = [name if name.startswith("output") else f"the gradient of {name}" for name in where.split(" and ")]
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'}"
