"""What a check found: rows of data, and the table a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

HOLDS, FAILS, KINK, BLIND, NONE = "holds", "FAILS", "kink", "blind", "none"

WIDTHS = (12, 26, 9, 9, 9, 8)  # 78 columns with the gaps between them, for a terminal of 80
HEADINGS = ("argument", "method", "elements", "error", "bound", "verdict")


@dataclass(frozen=True)
class Row:
    """One line of evidence.

    Attributes
    ----------
        argument: whose gradient; ``"all"`` where it is about the functions as a whole.
        method: how it was checked.
        elements: how many numbers were compared.
        error, bound: the largest error beside the bound it had to meet, at the element that came closest to it (or
            went furthest beyond); relative to the largest slope of the argument. ``None`` where nothing was measured.
        verdict: ``holds``; ``FAILS``; ``kink`` (one-sided derivatives differ there, so there is no derivative to
            compare with); ``blind`` (rounding hides a mistake of 0.05 %); ``none`` (backward gave no gradient).
        detail: what exactly, and where.
        name, link: operation, and link of the chain of trust, where the row is part of ``unet-ref verify``.
        exact: compared with ``==``, without rounding.
    """

    argument: str
    method: str
    elements: int
    error: float | None
    bound: float | None
    verdict: str
    detail: str = ""
    name: str = ""
    link: int = 0
    exact: bool = False

    @property
    def holds(self) -> bool:
        """Whether the row speaks against the gradient: a kink and a missing gradient do not."""
        return self.verdict in (HOLDS, KINK, NONE)

    def cells(self) -> tuple[str, ...]:
        """The row as text, one cell a column."""
        error, bound = (
            ("exact", "exact") if self.exact and self.verdict == HOLDS else map(_number, (self.error, self.bound))
        )
        return self.argument, self.method, f"{self.elements:,}", error, bound, self.verdict


@dataclass(frozen=True)
class Report:
    """All rows of a check. ``bool(report)``: the gradient is right. ``print(report)``: the table."""

    rows: tuple[Row, ...]

    def __bool__(self) -> bool:
        return all(row.holds for row in self.rows)

    def __str__(self) -> str:
        return "\n".join(table(self.rows, HEADINGS, WIDTHS))

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows that speak against the gradient."""
        return tuple(row for row in self.rows if not row.holds)

    @property
    def kinks(self) -> tuple[Row, ...]:
        """The rows that say where there is no derivative."""
        return tuple(row for row in self.rows if row.verdict == KINK)

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, ready for ``json.dumps``."""
        return {"holds": bool(self), "rows": [asdict(row) for row in self.rows]}


def table(rows: Iterable[Row], headings: tuple[str, ...], widths: tuple[int, ...]) -> list[str]:
    """Lines of a table: text to the left, numbers to the right, details below their row."""
    lines = [_line(headings, widths), _line(tuple("-" * width for width in widths), widths)]
    for row in rows:
        lines.append(_line(row.cells(), widths))
        if row.detail:
            lines.extend(_wrap(row.detail, sum(widths) + len(widths) - 3))
    return lines


def _line(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    left = (0, 1, len(cells) - 1)
    padded = [
        cell[:width].ljust(width) if k in left else cell[:width].rjust(width)
        for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return " ".join(padded).rstrip()


def _wrap(text: str, width: int) -> list[str]:
    """The detail, indented, in as many lines as it takes."""
    words, lines = text.split(), [" "]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > width and lines[-1].strip():
            lines.append(" ")
        lines[-1] += " " + word
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
