"""Reports on what was not made by two functions here: how a failure is seen again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from .report import CaseResult, Report


@dataclasses.dataclass(frozen=True)
class Rerun(CaseResult):
    """A result with a reproducer of its own."""

    how: str = ""

    @property
    def reproducer(self) -> str:
        """What to paste."""
        return self.how


def rerun_by(report: Report, how: Callable[[CaseResult], str], name: str | None = None) -> Report:
    """The report with what ``how`` says in place of each reproducer, and perhaps under another name."""
    results = tuple(Rerun(**vars(result), how=how(result)) for result in report.results)
    return dataclasses.replace(report, name=name or report.name, results=results)
