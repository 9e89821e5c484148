"""The name of the mistake, where the bank of known ones has it."""

from __future__ import annotations

from typing import Any

from .mistake import Arguments


def cause(arguments: Arguments, got: dict[str, Any], ladder: Any) -> Any:
    """What ``diagnose`` says, or ``None``."""
    del arguments, got, ladder
    return None


def common_cause(results: Any, kind: Any) -> Any:
    """The one mistake that explains all the cases that failed, or ``None``."""
    del results, kind
    return None
