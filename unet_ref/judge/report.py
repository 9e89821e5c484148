"""What the judge says about an implementation."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Any

from .cases import DesignedCase
from .causes import Causes
from .verdict import BUG, LOOSER, VACUOUS, Verdict
from .words import wrapped

EXPLAINED = 3  # failures that a report for a person tells in full
LISTED = 12  # and that it names


CONDUCT = "conduct"
OUTCOMES = {
    BUG: "a bug",
    LOOSER: "looser arithmetic",
    VACUOUS: "no verdict, for rounding,",
    CONDUCT: "something besides the numbers",
}


@dataclass(frozen=True)
class CaseResult:
    """One case: its verdict, and what is wrong besides the numbers; ``skipped`` says why it was not judged."""

    case: DesignedCase
    profile: str
    verdict: Verdict | None
    problems: tuple[str, ...]
    skipped: str = ""

    @property
    def ok(self) -> bool:
        """Nothing speaks against the implementation."""
        return bool(self.skipped) or (not self.problems and self.verdict is not None and self.verdict.ok)

    @property
    def outcome(self) -> str:
        """The verdict in a word or two."""
        if self.skipped:
            return "skipped"
        if self.verdict is not None and ((self.verdict.tensors and not self.verdict.ok) or not self.problems):
            return self.verdict.verdict
        return CONDUCT

    @property
    def reproducer(self) -> str:
        """Python to paste, where ``forward`` and ``backward`` are the candidate's."""
        dtype = "" if self.profile == "float32" else f", {self.profile!r}"
        profile = "" if self.profile == "float32" else f", profile={self.profile!r}"
        return (
            "from unet_ref import judge\n"
            f"case = judge.designed_case({self.case.name!r}, {self.case.label!r}{dtype})\n"
            f"print(judge.judge_case(case, forward, backward{profile}))"
        )

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = wrapped(f"{self.case.name}, case {self.case.label!r}: {self.outcome}", 0)
        if self.skipped:
            return "\n".join([*lines, *wrapped(self.skipped, 2)])
        lines += [line for problem in self.problems for line in wrapped(problem, 2)]
        if self.verdict is not None and self.verdict.tensors:
            lines += str(self.verdict).splitlines()[1:]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        verdict = None if self.verdict is None else self.verdict.to_json()
        return {
            "case": self.case.label, "layout": self.case.layout, "ok": self.ok, "outcome": self.outcome,
            "problems": list(self.problems), "skipped": self.skipped, "verdict": verdict,
            "reproducer": "" if self.ok else self.reproducer,
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """All cases. ``bool(report)`` is ``report.ok``; ``print(report)`` explains."""

    name: str
    profile: str
    results: tuple[CaseResult, ...] = field(repr=False)
    diagnosis: Causes | None = None

    @property
    def judged(self) -> tuple[CaseResult, ...]:
        """The cases that were not skipped."""
        return tuple(result for result in self.results if not result.skipped)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The cases that speak against the implementation, the clearest first."""
        return tuple(sorted((result for result in self.results if not result.ok), key=_clarity))

    @property
    def skipped(self) -> tuple[CaseResult, ...]:
        """The cases that the candidate refused."""
        return tuple(result for result in self.results if result.skipped)

    @property
    def ok(self) -> bool:
        """Right in all the cases that it did not refuse, if there was one."""
        return bool(self.judged) and not self.failures

    @property
    def score(self) -> float:
        """The share of the judged cases that are right."""
        return 1 - len(self.failures) / len(self.judged) if self.judged else 0.0

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = wrapped(self.headline, 0)
        if self.diagnosis is not None:
            lines += ["", *(line for text in str(self.diagnosis).splitlines() for line in wrapped(text, 0))]
        for result in self.failures[:EXPLAINED]:
            lines += ["", *str(result).splitlines(), *("    " + line for line in result.reproducer.splitlines())]
        more = [repr(result.case.label) for result in self.failures[EXPLAINED:]]
        if more:
            rest = f" and {len(more) - LISTED} more" if len(more) > LISTED else ""
            lines += ["", *wrapped(f"Not right either: {', '.join(more[:LISTED])}{rest}.", 0)]
        return "\n".join(lines)

    @property
    def headline(self) -> str:
        """One sentence."""
        judged, failed, skipped = len(self.judged), len(self.failures), len(self.skipped)
        not_judged = f" {skipped} refused, and not judged." if skipped else ""
        who = f"{self.name}, {self.profile}"
        if not judged:
            return f"{who}: no case was judged.{not_judged}"
        if not failed:
            return f"{who}: right in all {judged} cases.{not_judged}"
        counts = collections.Counter(result.outcome for result in self.failures)
        kinds = ", ".join(f"{OUTCOMES[outcome]} in {count}" for outcome, count in counts.most_common())
        return f"{who}: right in {judged - failed} of {judged} cases; {kinds}.{not_judged}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "operation": self.name, "profile": self.profile, "ok": self.ok, "score": self.score,
            "judged": len(self.judged), "failed": len(self.failures), "skipped": len(self.skipped),
            "diagnosis": [] if self.diagnosis is None else self.diagnosis.to_json(),
            "cases": [result.to_json() for result in self.results],
        }  # fmt: skip


def _clarity(result: CaseResult) -> tuple[bool, bool, int]:
    """Bugs first, those that numbers show before those of a wrong shape, small cases first: they are easiest to follow."""
    tensors = () if result.verdict is None else result.verdict.tensors
    numbers = any(t.finding is not None and t.finding.index is not None for t in tensors)
    return result.outcome != BUG, not numbers, sum(t.elements for t in tensors)
