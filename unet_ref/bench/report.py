"""Rows as Markdown that a terminal of 80 columns shows as well."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Sequence

from .rows import Row
from .sides import PASSES

LEGEND = """\
`both` is forward plus backward. `x` says how many times as fast as PyTorch, in
the same run; `limit` is the share of what the machine's matrix product would do
in that time, or (`c`) its copying, every number moved once."""


def report(rows: Sequence[Row]) -> str:
    """A section for each operation and network in each dtype, and means at the end."""
    parts = [LEGEND, ""]
    for name, dtype in dict.fromkeys((row.name, row.dtype) for row in rows):
        parts += [f"### {name}, {dtype}", "", *_section([r for r in rows if (r.name, r.dtype) == (name, dtype)]), ""]
    return "\n".join([*parts, summary(rows)])


def summary(rows: Sequence[Row]) -> str:
    """Geometric means, networks and operations apart."""
    header = ("geometric mean", "dtype", "forward", "both", "least of all")
    body = []
    for label, networks in (("operations", False), ("networks", True)):
        for dtype in dict.fromkeys(row.dtype for row in rows):
            part = [row for row in rows if row.is_network is networks and row.dtype == dtype]
            ratios = [[row.ratio for row in part if row.passes == name and row.ratio] for name in PASSES]
            if any(ratios):
                means = [f"{statistics.geometric_mean(column):.2f}" if column else "" for column in ratios]
                body.append([label, dtype, *means, f"{min(ratio for column in ratios for ratio in column):.2f}"])
    if not body:
        return "PyTorch is not installed: there is nothing to compare with."
    return "\n".join(markdown(header, body, right=(2, 3, 4)))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int]) -> list[str]:
    """A table with columns as wide as they need to be."""
    body = list(rows)
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (w + 1) + (":" if k in right else "-") for k, w in enumerate(widths))
    return [line(header), f"|{rule}|", *map(line, body)]


def _section(rows: Sequence[Row]) -> list[str]:
    found = {(row.size, row.passes): row for row in rows}
    lines = [
        [size, *(cell for passes in PASSES for cell in _figures(found.get((size, passes))))]
        for size in dict.fromkeys(row.size for row in rows)
    ]
    return markdown(("size", "forward", "x", "limit", "both", "x", "limit"), lines, right=range(1, 7))


def _figures(row: Row | None) -> list[str]:
    if row is None:
        return ["", "", ""]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return [duration(row.seconds), ratio, f"{100 * row.share:.0f}%" + "c" * (row.limit == "copy")]


def duration(seconds: float, digits: str = "#.3g") -> str:
    """A unit that suits it, and three digits."""
    unit, factor = next(((u, f) for u, f in (("s", 1.0), ("ms", 1e3)) if seconds * f >= 0.9995), ("us", 1e6))
    return f"{seconds * factor:{digits}}".rstrip(".") + f" {unit}"
