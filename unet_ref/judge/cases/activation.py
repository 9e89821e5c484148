"""Designed cases of the activations, the gate and the joining of paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...backend import Array
from .design import Draft, Drafts, Fill

LAYOUTS = ("channels last", "strided", "sum upstream", "mean upstream", "repeated sample")


def relu() -> Iterator[Draft]:
    """Both signs, both zeros, the smallest numbers, and what is no number."""
    yield from _shapes("relu", spread=3.0)
    edges = np.array([0.0, -0.0, 6e-8, -6e-8, 1.0, -1.0, 60_000.0, -60_000.0, 6.5, 5.5])
    yield Draft("zeros of both signs, tiny and large", {"x": edges}, {})
    x = np.array([[np.nan, np.inf, -np.inf], [2.0, -3.0, 5.0]])
    yield Draft("NaN and infinity", {"x": x}, {}, grad_output=np.array([[0.0, 2.0, 3.0], [-4.0, 5.0, -6.0]]))
    blocked = np.array([[np.inf, 2.0, np.nan, -3.0]])  # dropped, not multiplied by zero
    yield Draft(
        "infinite gradient at a closed gate", {"x": np.array([[-1.0, 2.0, -3.0, 4.0]])}, {}, grad_output=blocked
    )


def sigmoid() -> Iterator[Draft]:
    """From -15 to 15, far beyond, and what is no number."""
    yield from _shapes("sigmoid", spread=4.0)
    yield Draft("-15 to 15", {"x": ramp()}, {})
    yield Draft("far out: nothing overflows", {"x": np.array([-60_000.0, -1000, -100, -50, 50, 100, 1000, 60_000])}, {})
    yield Draft("zero, tiny, NaN, infinity", {"x": edges()}, {})


def gelu() -> Iterator[Draft]:
    """Both formulas."""
    for formula in ("none", "tanh"):
        options = {"approximate": formula}
        for draft in _shapes("gelu", spread=2.5):
            if formula == "none" or draft.layout == "contiguous":
                yield draft._replace(label=f"{formula}: {draft.label}", options=options)
        yield Draft(f"{formula}: -15 to 15", {"x": ramp()}, options)
        yield Draft(f"{formula}: -3 to 3, where the formulas differ", {"x": ramp() / 5}, options)
        yield Draft(f"{formula}: zero, tiny, NaN", {"x": edges()[:-2]}, options)
    yield Draft("the default formula", {"x": ramp() / 5}, {})


def glu() -> Iterator[Draft]:
    """Every axis, from either end."""
    for label, shape, options in [
        ("last axis by default", (2, 3, 5, 4), {}),
        ("channels", (2, 6, 3, 5), {"axis": 1}),
        ("rows", (1, 3, 4, 5), {"axis": 2}),
        ("negative axis", (2, 4, 5, 3), {"axis": -3}),
        ("two channels", (3, 2, 4), {"axis": 1}),
        ("one axis", (10,), {}),
        ("as many rows as columns", (1, 2, 4, 4), {"axis": -2}),
    ]:
        draft = Draft(label, {"x": Fill("glu", label).real(shape, 3.0)}, options)
        yield draft
        if label == "channels":
            yield from (draft._replace(label=f"{label}; {layout}", layout=layout) for layout in LAYOUTS)
    gates = np.concatenate([np.full(8, 3.0), [-60_000.0, -90, -20, -1, 1, 20, 90, 60_000]])
    yield Draft("gates far out", {"x": gates}, {})


def concat() -> Iterator[Draft]:
    """Uneven arrays along every axis, from either end."""
    rows: list[tuple[str, list[tuple[int, ...]], dict[str, Any]]] = [
        ("channels by default", [(2, 3, 4, 5), (2, 2, 4, 5)], {}),
        ("as many channels in both", [(2, 3, 4, 5), (2, 3, 4, 5)], {}),
        ("three arrays", [(2, 1, 3, 4), (2, 4, 3, 4), (2, 2, 3, 4)], {"axis": 1}),
        ("one array", [(2, 3, 4)], {}),
        ("an empty array among them", [(2, 3, 2, 2), (2, 0, 2, 2), (2, 1, 2, 2)], {}),
        ("batch", [(1, 2, 3, 4), (3, 2, 3, 4)], {"axis": 0}),
        ("rows", [(2, 3, 1, 4), (2, 3, 5, 4)], {"axis": 2}),
        ("last axis", [(2, 3, 4, 2), (2, 3, 4, 3)], {"axis": 3}),
        ("negative axis: the last", [(2, 3, 4, 1), (2, 3, 4, 5)], {"axis": -1}),
        ("negative axis: the channels", [(2, 1, 3, 4), (2, 2, 3, 4)], {"axis": -3}),
        ("all sizes equal", [(3, 3, 3, 3), (3, 3, 3, 3)], {"axis": -2}),
        ("images without a batch", [(2, 4, 5), (3, 4, 5)], {"axis": 0}),
        ("rows of numbers", [(4,), (3,)], {"axis": 0}),
    ]
    for label, shapes, options in rows:
        fill = Fill("concat", label)
        draft = Draft(label, {"arrays": tuple(fill.whole(shape, 400) for shape in shapes)}, options)
        yield draft
        if label == "channels by default":
            yield from (draft._replace(label=f"{label}; {layout}", layout=layout) for layout in LAYOUTS)
    arrays = (np.array([[np.nan, -0.0]]), np.array([[np.inf, -np.inf, 6e-8]]))
    yield Draft("NaN, infinity, tiny", {"arrays": arrays}, {})


def ramp() -> Array:
    """-15 to 15 in steps that every type holds, in uneven shape."""
    return (np.arange(-240, 240) / 16).reshape(2, 3, 4, 20)


def edges() -> Array:
    """Both zeros, tiny numbers, NaN, and the infinities (last: GELU's are infinity times zero in some formulas)."""
    return np.array([0.0, -0.0, 6e-8, -6e-8, 1e-4, -1e-4, np.nan, np.inf, -np.inf])


def _shapes(name: str, spread: float) -> Iterator[Draft]:
    shapes = {"image": (2, 3, 4, 5), "wide image": (1, 5, 3, 7), "image without a batch": (2, 5, 3), "row": (17,),
              "number": (), "1,031 numbers": (1031,)}  # fmt: skip
    for label, shape in shapes.items():
        x = np.asarray(Fill(name, label).real(shape, spread))
        yield Draft(label, {"x": x}, {})
        if label == "image":
            yield from (Draft(f"{label}; {layout}", {"x": x}, {}, layout) for layout in LAYOUTS)


ACTIVATION: dict[str, Drafts] = {"relu": relu, "sigmoid": sigmoid, "gelu": gelu, "glu": glu, "concat": concat}
