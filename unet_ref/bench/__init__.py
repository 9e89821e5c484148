"""How fast operations and networks are, beside PyTorch and beside what the machine can do at all."""

from .plot import draw
from .report import report, summary
from .rows import Row, measure, read
from .sizes import KNOWN, Job, growth, jobs

__all__ = ["KNOWN", "Job", "Row", "draw", "growth", "jobs", "measure", "read", "report", "summary"]
