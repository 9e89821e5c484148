"""Link 6: is their implementation right, and if not, which bug is it?"""

from .cases import DesignedCase, designed_case, designed_cases
from .implementation import judge_case, judge_implementation, judge_results
from .judge import assert_agrees, judge
from .report import CaseResult, Report
from .torch_modules import compare_torch
from .verdict import Finding, Verdict

__all__ = [
    "CaseResult",
    "DesignedCase",
    "Finding",
    "Report",
    "Verdict",
    "assert_agrees",
    "compare_torch",
    "designed_case",
    "designed_cases",
    "judge",
    "judge_case",
    "judge_implementation",
    "judge_results",
]
