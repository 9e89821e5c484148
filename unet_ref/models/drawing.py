"""A network drawn as the U that everybody knows: a row for each resolution, a bar for each feature map.

``draw`` places what ``sketch`` found: a bar stands right of its source where the size stays, below it where it shrinks,
above it where it grows. The number above a bar is its channels, below that its size where it changes; the colour of an
arrow is its operation. A hovering mouse is told every step's name, operation and shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from . import svg
from .plan import Plan
from .sketch import Map, Way, sketch
from .svg import SMALL, TEXT, wide

GAP, MARGIN, DROP = 24, 16, 30  # between bars, around the picture, between rows
LINE, LABEL = TEXT + 5, TEXT + SMALL + 6  # heights: of a line of text, of the two above a bar
TALLEST, SHORTEST, SHRINK = 130.0, 26.0, 0.76  # heights of the bars, from the first row down

# Colours that white and black paper both bear; a family's further ones are for its further meanings.
FAMILIES = {
    "conv": ("#3b82c4", "#12a1a8", "#7c6fe0", "#5b9bd5"),
    "pool": ("#d9534f", "#c2549d"),
    "up": ("#3fa34d", "#8aa82f"),
    "residual": ("#d97b1f", "#b8912f"),
    "linear": ("#12a1a8",),
    "film": ("#a25fd6",),
    "skip": ("#8b949e",),
    "other": ("#8b949e",),
}

Point = tuple[float, float]


class Box(NamedTuple):
    """Where a bar stands: the middle of its width, its top edge, its height, the widths of its parts."""

    x: float
    top: float
    height: float
    parts: tuple[float, ...]
    channels: str
    size: str

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.top + self.height / 2

    @property
    def left(self) -> float:
        """The left edge."""
        return self.x - sum(self.parts) / 2

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + sum(self.parts) / 2

    @property
    def reach(self) -> float:
        """How far the bar or its labels reach to either side."""
        return max(sum(self.parts), wide(self.channels), wide(self.size, SMALL)) / 2

    @property
    def above(self) -> float:
        """The height just above its labels."""
        return self.top - (LABEL if self.size else LINE)

    def part(self, k: int) -> float:
        """The left edge of part k."""
        return self.left + sum(self.parts[:k])

    def centre(self, k: int) -> float:
        """The middle of part k."""
        return self.part(k) + self.parts[k] / 2


def draw(planned: Plan, title: str, inputs: Mapping[str, tuple[int, ...]]) -> str:
    """The picture as SVG; ``inputs``: the inputs' names and shapes, the image first."""
    return _Drawing(planned, inputs).svg(title, _subtitle(planned, inputs))


class _Drawing:
    def __init__(self, planned: Plan, inputs: Mapping[str, tuple[int, ...]]) -> None:
        self.sketch = sketch(planned.steps, inputs)
        self.colours: dict[tuple[str, str], str] = {}
        for way in (*self.sketch.ways, *self.sketch.skips):
            shades = FAMILIES[way.kind]
            taken = sum(kind == way.kind for kind, _ in self.colours)
            self.colours.setdefault((way.kind, way.text), shades[taken % len(shades)])
        self.boxes: dict[Map, Box] = {}
        self._place()

    def _place(self) -> None:
        """Where every bar stands, in the order of the network."""
        rows = self._rows()
        first, *others = self.sketch.maps
        start = MARGIN + wide(first.name) + 6
        box = self._box(first, first, rows)
        self.boxes[first] = box._replace(x=start + box.reach)
        filled = {first.level: self.boxes[first].x + box.reach}  # how far each row is taken
        for here, way in zip(others, self.sketch.ways, strict=True):
            box, source = self._box(here, way.source, rows), self.boxes[way.source]
            x = filled.get(here.level, MARGIN - GAP) + GAP + box.reach
            if here.level != way.source.level:  # straight down or up, if there is room
                x = max(x, source.x - box.centre(way.part))
            self.boxes[here] = box._replace(x=x)
            for row in range(here.level + 1, way.source.level + 1):  # an arrow upwards runs along them
                filled[row] = max(filled[row], self.boxes[here].centre(way.part))
            filled[here.level] = x + box.reach

    def _box(self, here: Map, source: Map, rows: Mapping[int, Point]) -> Box:
        """A bar of the right row, height and width, its middle still at 0."""
        same = here is not source and source.level == here.level and source.shape[2:] == here.shape[2:]
        parts = tuple(5 + 2 * math.log2(channels) for channels, _ in here.parts)
        return Box(0.0, *rows[here.level], parts, str(here.shape[1]), "" if same else _size(here.shape))

    def _rows(self) -> dict[int, Point]:
        """Top and height of the bars of each row."""
        y = MARGIN + 3 * LINE + 14.0  # below the title
        rows = {}
        for depth, level in enumerate(sorted({here.level for here in self.sketch.maps})):
            y += LABEL
            rows[level] = y, max(SHORTEST, TALLEST * SHRINK**depth)
            y += rows[level][1] + DROP
        return rows

    def _crowded(self, way: Way) -> bool:
        """Whether a bar stands between the ends of a skip."""
        maps = self.sketch.maps
        return any(m.level == way.target.level for m in maps[maps.index(way.source) + 1 : maps.index(way.target)])

    # --- marks ----------------------------------------------------------------------------------------------------

    def svg(self, title: str, subtitle: Sequence[str]) -> str:
        """All marks, on as much paper as they need."""
        boxes = list(self.boxes.values())
        frames = [self._vectors(target, lines) for target, lines in self.sketch.vectors]
        corners = [(box.right, box.bottom) for box in boxes] + [corner for corner, _ in frames]
        right = max(boxes[-1].right + 8 + wide("output"), MARGIN + max(map(wide, subtitle)), *(x for x, _ in corners))
        legend, bottom = self._legend(max(y for _, y in corners) + 24, right)
        marks = [
            svg.text(MARGIN, MARGIN + 10, title, "head"),
            *(svg.text(MARGIN, MARGIN + 11 + k * LINE, line) for k, line in enumerate(subtitle, start=1)),
            svg.text(MARGIN, boxes[0].middle + 4, self.sketch.maps[0].name),
            svg.text(boxes[-1].right + 8, boxes[-1].middle + 4, "output"),
            *(self._arrow(way, self._course(way)) for way in self.sketch.ways),
            *(self._bar(here, box) for here, box in self.boxes.items()),
            *(self._arrow(way, self._detour(way)) for way in self.sketch.skips),
            *(mark for _, mark in frames),
            *legend,
        ]
        colours = *self.colours.values(), *FAMILIES["film"]
        return svg.page(title, marks, colours, math.ceil(right + MARGIN), math.ceil(bottom + MARGIN))

    def _bar(self, here: Map, box: Box) -> str:
        """The parts of a bar, and its labels."""
        parts = [
            svg.rect(box.part(k), box.top, width, box.height, "copy" if copied else "map")
            for k, (width, (_, copied)) in enumerate(zip(box.parts, here.parts, strict=True))
        ]
        labels = [svg.text(box.x, box.above + TEXT, box.channels, "middle")]
        if box.size:
            labels.append(svg.text(box.x, box.top - 4, box.size, "small middle"))
        return svg.group([*parts, *labels], "\n".join(f"{s.name}: {s.op} {_times(s.shape)}" for s in here.steps))

    def _arrow(self, way: Way, points: Sequence[Point]) -> str:
        return svg.arrow(points, self.colours[way.kind, way.text], way.text)

    def _course(self, way: Way) -> list[Point]:
        """The corners of an arrow from a bar to the next."""
        source, target = self.boxes[way.source], self.boxes[way.target]
        x = target.centre(way.part)
        if way.target.level == way.source.level and way.part:  # from below, past the part before it
            below = source.bottom + 10
            return [(source.x, source.bottom + 2), (source.x, below), (x, below), (x, target.bottom + 2)]
        if way.target.level == way.source.level:
            return [(source.right + 2, source.middle), (target.part(way.part) - 2, target.middle)]
        if way.target.level > way.source.level:
            turn = source.bottom + 8
            return [(source.x, source.bottom + 2), (source.x, turn), (x, turn), (x, target.above)]
        if abs(x - source.x) < 1:
            return [(x, source.above), (x, target.bottom + 2)]
        return [(source.right + 2, source.middle), (x, source.middle), (x, target.bottom + 2)]

    def _detour(self, way: Way) -> list[Point]:
        """The corners of a skip: straight across, or over the labels where bars stand between."""
        source, target = self.boxes[way.source], self.boxes[way.target]
        end = target.part(way.part) - 1
        if not self._crowded(way):
            return [(source.right + 2, source.middle), (end, target.middle)]
        lane, y = target.top - LABEL - 6, target.top + 0.22 * target.height
        leave, arrive = source.x + source.reach + 5, target.x - target.reach - 5
        return [(source.right + 2, y), (leave, y), (leave, lane), (arrive, lane), (arrive, y), (end, y)]

    def _vectors(self, target: Map, lines: Sequence[str]) -> tuple[Point, str]:
        """A frame that says where gamma and beta come from, below the map that they enter; and its lower right corner."""
        box, (colour,) = self.boxes[target], FAMILIES["film"]
        k = [copied for _, copied in target.parts].index(False)
        left, top = box.part(k), box.bottom + 22
        width, height = max(map(wide, lines)) + 12, len(lines) * LINE + 6
        marks = [
            svg.rect(left, top, width, height, "frame", f' rx="4" style="stroke:{colour}"'),
            *(svg.text(left + 6, top + 14 + i * LINE, line) for i, line in enumerate(lines)),
            svg.arrow([(box.centre(k), top - 1), (box.centre(k), box.bottom + 2)], colour),
        ]
        return (left + width, top + height), "\n".join(marks)

    def _legend(self, top: float, right: float) -> tuple[list[str], float]:
        """Colours and their meanings, in as many lines as the width needs, and where they end."""
        marks: list[str] = []
        x, y = float(MARGIN), top + TEXT
        for (_, meaning), colour in self.colours.items():
            width = 30 + wide(meaning)
            if x > MARGIN and x + width > right:
                x, y = MARGIN, y + LINE + 3
            marks += [svg.arrow([(x, y - 4), (x + 24, y - 4)], colour), svg.text(x + 30, y, meaning)]
            x += width + 12
        return marks, y


def _subtitle(planned: Plan, inputs: Mapping[str, tuple[int, ...]]) -> list[str]:
    shapes = ", ".join(f"{name} {_times(shape)}" for name, shape in inputs.items())
    return [
        f"{shapes} → output {_times(planned.output_shape)}",
        f"{planned.parameters:,} parameters, {planned.multiply_adds:,} multiply-adds",
    ]


def _size(shape: tuple[int, ...]) -> str:
    """``256²``, ``96×128``; a vector has none."""
    if len(shape) < 4:
        return ""
    height, width = shape[2:]
    return f"{height}²" if height == width else f"{height}×{width}"


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
