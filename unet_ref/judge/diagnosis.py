"""A diagnosis: a mistake that would give what came back, how much of it that explains, and how it is said in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .mistake import Mistake


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


def _title(tensor: str) -> str:
    return f"the {tensor}" if tensor.startswith("output") else f"the gradient of {tensor}"


def _list(items: Iterable[str]) -> str:
    words = list(items)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
