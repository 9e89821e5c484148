"""Mistakes under suspicion, and how each of the wrong results matches what they would have given."""

from __future__ import annotations

from dataclasses import dataclass

from .mistake import Mistake
from .trial import Match, Trial


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
