"""What the judge says about one result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backend import Array
from .causes import Causes
from .mistake import Arguments
from .words import finite, number, title, wrapped

EXACT, ROUNDING, LOOSER, VACUOUS, BUG = "exact", "within rounding", "looser arithmetic", "vacuous", "bug"
SEVERITY = (EXACT, ROUNDING, LOOSER, VACUOUS, BUG)

SAYS = {
    EXACT: "exact",
    ROUNDING: "right, up to rounding",
    LOOSER: "not a bug, but looser arithmetic than asked for",
    VACUOUS: "cannot be judged: rounding alone could explain any result",
    BUG: "a bug: rounding cannot do this",
}


@dataclass(frozen=True)
class Finding:
    """What is wrong with one tensor, at its worst element.

    Attributes
    ----------
        tensor: ``"output"``, or the argument whose gradient it is.
        index: of the worst element; ``None`` where the tensor as a whole does not fit.
        got, expected, error: there. bound: how far rounding could carry it. ratio: error over bound.
        wrong, elements: how many elements are further out than rounding can carry them, of how many.
        pattern: sentences about where they are and what they have in common.
        detail: what does not fit, where it is not a number.
    """

    tensor: str
    index: tuple[int, ...] | None = None
    got: float = float("nan")
    expected: float = float("nan")
    error: float = float("nan")
    bound: float = 0.0
    ratio: float = float("inf")
    wrong: int = 0
    elements: int = 0
    pattern: tuple[str, ...] = ()
    detail: str = ""

    def lines(self) -> Iterator[str]:
        """For a person."""
        if self.detail:
            yield self.detail
        if self.index is not None:
            place = f"[{', '.join(map(str, self.index))}]"
            which = f"{self.wrong:,} of {self.elements:,} elements is wrong. The one at {place}"
            if self.elements == 1:
                which = "It"
            elif self.wrong > 1:
                which = f"{self.wrong:,} of {self.elements:,} elements are wrong. The worst, at {place},"
            rounding = f"at most {number(self.bound)}" if self.bound > 0 else "nothing"
            far = f": off by {number(self.error)}, of which rounding explains {rounding}" if self.error < np.inf else ""
            yield f"{which} is {number(self.got)}, not {number(self.expected)}{far}."
        yield from self.pattern


@dataclass(frozen=True)
class TensorVerdict:
    """One tensor's verdict. ``arithmetic``: what was recognised; ``ratio``: error over bound, element by element."""

    tensor: str
    verdict: str
    tier: str
    elements: int
    arithmetic: str = ""
    note: str = ""
    finding: Finding | None = None
    ratio: Array = field(default=None, repr=False, compare=False)

    @property
    def worst(self) -> float:
        """The largest error over bound."""
        return float(self.ratio.max(initial=0.0)) if self.ratio is not None else float("inf")


@dataclass(frozen=True)
class Verdict:
    """The judge's verdict on one result. ``bool(verdict)`` is ``verdict.ok``; ``print(verdict)`` explains it.

    Attributes
    ----------
        arguments, got, profile: the call, the tensors that were judged, the arithmetic that was asked for.
        tensors: each one's own verdict.
        diagnosis: the known mistakes that would give this, the likeliest first; ``None`` where there was no need to look.
    """

    arguments: Arguments = field(repr=False)
    profile: str
    tensors: tuple[TensorVerdict, ...]
    diagnosis: Causes | None = None
    got: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)
    ladder: Any = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """The worst of the tensors' verdicts."""
        return max((t.verdict for t in self.tensors), key=SEVERITY.index, default=VACUOUS)

    @property
    def ok(self) -> bool:
        """Whether it is right in the arithmetic that was asked for."""
        return self.verdict in (EXACT, ROUNDING)

    @property
    def tier(self) -> str:
        """What the verdict rests on: ``exact`` data, the ``bound``, or (never for a bug) suspicious ``statistics``."""
        tiers = [t.tier for t in self.tensors if t.verdict == self.verdict]
        return next((tier for tier in ("statistics", "exact", "bound") if tier in tiers), "bound")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, tensor by tensor."""
        return tuple(t.finding for t in self.tensors if t.finding is not None)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{self.arguments.name}, {self.profile}: {SAYS[self.verdict]}."]
        for t in self.tensors:
            lines += wrapped(f"{title(t.tensor)}: {_in_short(t)}", 2)
            if t.note:
                lines += wrapped(t.note, 4)
            if t.finding is not None:
                lines += [line for text in t.finding.lines() for line in wrapped(text, 4)]
        if self.diagnosis is not None:
            lines += ["", *(line for text in str(self.diagnosis).splitlines() for line in wrapped(text, 0))]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "operation": self.arguments.name, "profile": self.profile, "ok": self.ok, "verdict": self.verdict,
            "tier": self.tier, "diagnosis": [] if self.diagnosis is None else self.diagnosis.to_json(),
            "tensors": [
                {"tensor": t.tensor, "verdict": t.verdict, "tier": t.tier, "elements": t.elements,
                 "arithmetic": t.arithmetic, "note": t.note, "worst": finite(t.worst),
                 "finding": None if t.finding is None else _plain(t.finding)}
                for t in self.tensors
            ],
        }  # fmt: skip


def _in_short(t: TensorVerdict) -> str:
    if t.verdict == EXACT:
        return f"exact, all {t.elements:,} elements"
    if t.verdict == ROUNDING:
        kind = f" of {t.arithmetic}" if t.arithmetic else ""
        return f"within rounding{kind}, at most {t.worst:.2g} of the bound"
    if t.verdict == LOOSER:
        return f"looser arithmetic: this is {t.arithmetic}"
    if t.verdict == VACUOUS:
        return f"vacuous: the bound{f' of {t.arithmetic}' if t.arithmetic else ''} is larger than the numbers"
    return "wrong"


def _plain(finding: Finding) -> dict[str, Any]:
    plain = dict(vars(finding))
    return {key: finite(value) if isinstance(value, float) else value for key, value in plain.items()}
