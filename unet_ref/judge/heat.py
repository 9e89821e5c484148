"""A tensor of error over bound as a picture: where is it wrong, and how far beyond rounding?"""

from __future__ import annotations

import itertools
import math
from html import escape
from typing import Any

import numpy as np

from ..backend import Array

CELL, GAP, LABEL = 9, 10, 13  # pixels: an element, between planes, a line of text
PLANES, SIDE, WIDTH = 24, 40, 640  # at most so many planes, of so many elements a side, in so many pixels
STEPS = (0.01, 0.1, 1.0, 10.0, 1e3, 1e6)  # class h0 up to the first, h6 beyond the last; from h3 on it is not rounding


def heat_map(ratio: Array, names: list[str]) -> str:
    """An SVG with a plane for each pair of leading indices; ``names`` of the axes label them."""
    grid = ratio.reshape((1,) * max(0, 2 - ratio.ndim) + ratio.shape)
    lead, (rows, columns) = grid.shape[:-2], grid.shape[-2:]
    steps = [max(1, math.ceil(size / SIDE)) for size in (rows, columns)]
    planes = list(itertools.islice(np.ndindex(*lead), PLANES))
    height, width = (math.ceil(size / step) * CELL for size, step in zip((rows, columns), steps, strict=True))
    labels = [_label(index, names) for index in planes]
    across = max(width, *(7 * len(label) for label in labels)) + GAP
    per_row = max(1, min(len(planes), WIDTH // across))
    down = height + LABEL + GAP
    parts = []
    for k, (index, label) in enumerate(zip(planes, labels, strict=True)):
        x, y = k % per_row * across, k // per_row * down
        text = f'<text x="0" y="{LABEL - 4}">{escape(label)}</text>' if label else ""
        parts.append(f'<g transform="translate({x},{y})">{text}<g transform="translate(0,{LABEL})">'
                     f"{_plane(_reduced(grid[index], steps))}</g></g>")  # fmt: skip
    total = (per_row * across, math.ceil(len(planes) / per_row) * down)
    more = math.prod(lead) - len(planes)
    note = f"<figcaption>and {more:,} more planes</figcaption>" if more > 0 else ""
    return (
        f'<svg class="heat" role="img" aria-label="error over bound" width="{total[0]}" height="{total[1]}" '
        f'viewBox="0 0 {total[0]} {total[1]}">{"".join(parts)}</svg>{note}'
    )


def _label(index: tuple[int, ...], names: list[str]) -> str:
    return ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=False))


def _reduced(plane: Array, steps: list[int]) -> Array:
    """The worst of every block, where a plane is too large to be drawn element by element."""
    for axis, step in enumerate(steps):
        plane = np.maximum.reduceat(plane, range(0, plane.shape[axis], step), axis=axis) if plane.size else plane
    return plane


def _plane(plane: Array) -> str:
    """Runs of one colour as one rectangle."""
    kinds: Any = np.searchsorted(STEPS, plane, side="left")
    rects = []
    for i, row in enumerate(kinds):
        j = 0
        for kind, run in itertools.groupby(row.tolist()):
            length = len(list(run))
            rects.append(
                f'<rect class="h{kind}" x="{j * CELL}" y="{i * CELL}" width="{length * CELL}" height="{CELL}"/>'
            )
            j += length
    return "".join(rects)
