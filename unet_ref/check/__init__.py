"""Evidence that a gradient is right: your own (``gradcheck``), and those of this package (``verify_operation``)."""

from .bounds import PROFILES, Profile
from .error_bound import Bounds, error_bound, ratio, reference
from .gradcheck import gradcheck
from .report import Report, Row
from .table import OPERATIONS
from .tasks import verify_state, verify_task
from .verify import verify_operation

__all__ = [
    "OPERATIONS", "PROFILES", "Bounds", "Profile", "Report", "Row", "error_bound", "gradcheck", "ratio", "reference",
    "verify_operation", "verify_state", "verify_task",
]  # fmt: skip
