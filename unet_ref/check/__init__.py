"""Evidence that a gradient is right: your own (``gradcheck``), and those of this package (``verify_operation``)."""

from .gradcheck import gradcheck
from .report import Report, Row
from .table import OPERATIONS
from .tasks import verify_state, verify_task
from .verify import verify_operation

__all__ = ["OPERATIONS", "Report", "Row", "gradcheck", "verify_operation", "verify_state", "verify_task"]
