"""Numbers, names and lines of text as a person reads them in a terminal."""

from __future__ import annotations

import textwrap

WIDTH = 80


def title(tensor: str) -> str:
    """What to call a tensor in a sentence."""
    return f"the {tensor}" if tensor.startswith("output") else f"the gradient of {tensor}"


def finite(value: float) -> float | str:
    """JSON knows no NaN and no infinity."""
    return value if abs(value) < float("inf") else str(value)


def number(value: float) -> str:
    """Six digits, and no ``.0``."""
    return f"{value:.6g}"


def wrapped(text: str, indent: int) -> list[str]:
    """The text in lines of a terminal."""
    pad = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=pad, subsequent_indent=pad, break_on_hyphens=False) or [""]
