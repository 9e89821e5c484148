"""The names of the mistakes that would give what came back, for a verdict and for a report."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .ladder import Ladder
from .mistake import Arguments

CASES = 12  # wrong ones, and right ones, that the mistakes of the bank are tried on: small ones, which are quick
NUMBERS = 5_000  # in one call, for which two mistakes together are tried too


def causes(arguments: Arguments, tensors: Mapping[str, Any], ladder: Ladder) -> tuple[Any, ...]:
    """What ``diagnose`` finds for one result, the likeliest first."""
    return _diagnosed([(arguments, tensors, ladder)])


def common_cause(results: Iterable[Any], profile: Any = None) -> tuple[Any, ...] | None:  # noqa: ARG001
    """The mistakes that explain the wrong ones of a report's cases together, and leave the right ones right.

    ``None`` where no case has a bug in its numbers.
    """
    verdicts = [result.verdict for result in results if result.verdict is not None and result.verdict.tensors]
    verdicts.sort(key=lambda verdict: sum(tensor.elements for tensor in verdict.tensors))
    wrong = [verdict for verdict in verdicts if verdict.verdict == "bug"]
    right = [verdict for verdict in verdicts if verdict.ok]
    if not wrong:
        return None
    return _diagnosed([(each.arguments, each.got, each.ladder) for each in wrong[:CASES] + right[:CASES]])


def _diagnosed(observed: Sequence[tuple[Arguments, Mapping[str, Any], Ladder]]) -> tuple[Any, ...]:
    diagnose = importlib.import_module("unet_ref.judge.diagnose")  # needs the whole bank: only where something is wrong
    observations = [
        diagnose.Observation(arguments, dict(tensors), ladder.at(ladder.base)[1])
        for arguments, tensors, ladder in observed
    ]
    small = max(sum(t.size for t in tensors.values()) for _, tensors, _ in observed) <= NUMBERS
    return tuple(diagnose.diagnose_all(observations, pairs=None if small else False))


def explained(diagnosis: Sequence[Any]) -> Iterator[str]:
    """For a person: the likeliest mistake, and what cannot be told from it here; or that none is known."""
    if not diagnosis:
        yield "None of the known mistakes explains this, nor two of them together."
        return
    best = diagnosis[0]
    yield from f"Looks like: {best}".splitlines()
    same = [each.name for each in diagnosis[1:] if each.rank == best.rank]
    if same:
        yield f"The same numbers would come from: {'; '.join(same)}."
    if best.left > 0.01:
        yield f"Up to {100 * best.left:.2g} % of an error is left unexplained."


def plain(diagnosis: Sequence[Any]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {"mistakes": [mistake.name for mistake in each.mistakes], "rank": each.rank,
         "explanation": [mistake.explanation for mistake in each.mistakes], "mend": [m.mend for m in each.mistakes],
         "tensors": list(each.tensors), "explains": each.cases, "wrong": each.wrong}
        for each in diagnosis
    ]  # fmt: skip
