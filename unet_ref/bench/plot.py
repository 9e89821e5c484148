"""Cost against pixels and against the batch, drawn by hand: two panels with logarithmic axes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from ..models.svg import page, text, wide
from .report import duration
from .rows import Row

WIDTH, HEIGHT = 400, 260  # of a panel's frame
LEFT, TOP, GAP, BOTTOM = 64, 64, 96, 72
OURS, THEIRS, LINE = "#2f6fa8", "#d9822b", "#8c959f"
LABELS = {"pixels": "one image", "batch": "images, {side} x {side}"}


def draw(series: Mapping[str, Sequence[Row]], title: str) -> str:
    """``series`` has rows of one pass and dtype, in order: ``"pixels"`` one image of growing size, ``"batch"`` more."""
    marks = [text(LEFT, 24, title, "head")]
    for number, (axis, rows) in enumerate(series.items()):
        marks += _panel(LEFT + number * (WIDTH + GAP), axis, rows)
    width = LEFT + len(series) * WIDTH + (len(series) - 1) * GAP + 24
    return page(title, [*marks, *_legend(TOP + HEIGHT + 58, any(row.theirs for rows in series.values() for row in rows))],
                [], width, TOP + HEIGHT + BOTTOM)  # fmt: skip


def _amount(axis: str, row: Row) -> float:
    N, _, H, W = row.shape
    return float(N if axis == "batch" else H * W)


def _panel(left: float, axis: str, rows: Sequence[Row]) -> Iterator[str]:
    amounts = [_amount(axis, row) for row in rows]
    sides = {"ours": [row.seconds for row in rows]}
    if all(row.theirs for row in rows):
        sides["theirs"] = [statistics.median(row.theirs) for row in rows]
    straight = [sides["ours"][-1] * amount / amounts[-1] for amount in amounts]  # what is linear has this slope
    across = _Scale(amounts, left, left + WIDTH)
    every = [second for column in (*sides.values(), straight) for second in column]
    up = _Scale(every, TOP + HEIGHT, TOP)

    yield f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" style="fill:none;stroke:{LINE}"/>'
    yield text(left, TOP - 12, f"against {axis}")
    for row, amount in zip(rows, amounts, strict=True):
        label = str(row.shape[0]) if axis == "batch" else f"{row.shape[2]} x {row.shape[3]}"
        yield text(across(amount), TOP + HEIGHT + 18, label, "small middle")
        yield _line([(across(amount), TOP + HEIGHT), (across(amount), TOP + HEIGHT - 5)], LINE)
    yield text(left + WIDTH / 2, TOP + HEIGHT + 34, LABELS[axis].format(side=rows[0].shape[2]), "middle")
    for tick in _ticks(every):
        label = duration(tick, "g")
        yield text(left - 8 - wide(label, 10), up(tick) + 3, label, "small")
        yield _line([(left, up(tick)), (left + WIDTH, up(tick))], LINE, "stroke-width:0.5;opacity:0.5")
    yield _line(list(zip(map(across, amounts), map(up, straight), strict=True)), LINE, "stroke-dasharray:5 4")
    for side, colour in (("theirs", THEIRS), ("ours", OURS)):
        if side in sides:
            points = [(across(amount), up(second)) for amount, second in zip(amounts, sides[side], strict=True)]
            yield _line(points, colour)
            yield from (_dot(*point, colour, duration(second))
                        for point, second in zip(points, sides[side], strict=True))  # fmt: skip


class _Scale:
    """Logarithms to places, with a little room at both ends."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = math.log(min(values)), math.log(max(values))
        room = 0.06 * (high - low) or 1.0
        self.low, self.span, self.start, self.end = low - room, high - low + 2 * room, start, end

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * (math.log(value) - self.low) / self.span


def _ticks(values: Sequence[float]) -> list[float]:
    """Powers of ten in the range; with less than two of them 2 and 5 times those too."""
    low, high = min(values), max(values)
    tens = [10.0**k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    whole = [tick for tick in tens if low <= tick <= high]
    return whole if len(whole) > 1 else [m * t for t in tens for m in (1, 2, 5) if low <= m * t <= high]


def _legend(y: float, beside_torch: bool) -> Iterator[str]:
    x = float(LEFT)
    entries = [("unet_ref", OURS, ""), *([("PyTorch", THEIRS, "")] if beside_torch else []),
               ("in proportion", LINE, "stroke-dasharray:5 4")]  # fmt: skip
    for label, colour, more in entries:
        yield _line([(x, y - 4), (x + 26, y - 4)], colour, more)
        yield text(x + 32, y, label)
        x += 60 + wide(label)


def _line(points: Sequence[tuple[float, float]], colour: str, more: str = "") -> str:
    places = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{places}" style="stroke:{colour};{more}"/>'


def _dot(x: float, y: float, colour: str, hover: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" style="fill:{colour}"><title>{hover}</title></circle>'
