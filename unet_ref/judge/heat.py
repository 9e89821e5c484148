"""A tensor of error over bound as pictures: where is it wrong, and how far beyond rounding?"""

from __future__ import annotations

import itertools
import math
from html import escape
from typing import Any

import numpy as np

from ..backend import Array

FEW, PLANES, SIDE = 6, 24, 40  # planes that are shown even if right, and that are shown at all; squares a side
SMALL, LARGE = 9, 16  # pixels of a square, and of one where there are few
STEPS = (0.01, 0.1, 1.0, 10.0, 1e3, 1e6)  # class h0 up to the first, h6 beyond the last; from h3 on it is not rounding


def heat_map(ratio: Array, names: list[str]) -> str:
    """A picture for each pair of leading indices (of many the worst that are wrong); ``names`` of the axes label them."""
    grid = np.where(np.isnan(ratio), np.inf, ratio).reshape((1,) * max(0, 2 - ratio.ndim) + ratio.shape)
    lead, sides = grid.shape[:-2], grid.shape[-2:]
    worst = {index: float(grid[index].max(initial=0.0)) for index in np.ndindex(*lead)}
    by_error = sorted(worst, key=lambda index: -worst[index])
    wrong = [index for index in by_error if worst[index] > 1] or by_error
    shown = sorted((by_error if len(worst) <= FEW else wrong)[:PLANES])
    steps = [max(1, math.ceil(size / SIDE)) for size in sides]
    parts = [_plane(_reduced(grid[index], steps), _label(index, names), worst[index]) for index in shown]
    rest = len(worst) - len(shown)
    notes = [f"{rest:,} more, {'none worse' if len(wrong) > PLANES else 'all within the bound'}"] if rest else []
    if max(steps) > 1:
        notes.append(f"a square is {steps[0]} × {steps[1]} elements, and shows the worst of them")
    note = f"<figcaption>{escape('; '.join(notes))}</figcaption>" if notes else ""
    return f"<figure><div class='planes'>{''.join(parts)}</div>{note}</figure>"


def _label(index: tuple[int, ...], names: list[str]) -> str:
    return ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=False))


def _reduced(plane: Array, steps: list[int]) -> Array:
    """The worst of every block, where a plane is too large to be drawn element by element."""
    for axis, step in enumerate(steps):
        plane = np.maximum.reduceat(plane, range(0, plane.shape[axis], step), axis=axis)
    return plane


def _plane(plane: Array, label: str, worst: float) -> str:
    """Runs of one colour as one rectangle."""
    kinds: Any = np.searchsorted(STEPS, plane, side="left")
    rows, columns = plane.shape
    side = LARGE if max(rows, columns) <= SIDE // 2 else SMALL
    rects = []
    for i, row in enumerate(kinds):
        j = 0
        for kind, run in itertools.groupby(row.tolist()):
            length = len(list(run))
            rects.append(f"<rect class='h{kind}' x='{j}' y='{i}' width='{length}' height='1'/>")
            j += length
    grid = "".join([*(f"M0 {i}h{columns}" for i in range(1, rows)), *(f"M{j} 0v{rows}" for j in range(1, columns))])
    said = escape(f"{label}: " if label else "") + f"error up to {worst:.3g} times the bound"
    return (
        f"<div><svg class='heat' role='img' width='{columns * side}' height='{rows * side}' "
        f"viewBox='0 0 {columns} {rows}'><title>{said}</title>{''.join(rects)}<path d='{grid}'/></svg>"
        + (f"<small>{escape(label)}</small>" if label else "")
        + "</div>"
    )
