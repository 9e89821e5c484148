"""Designed cases of the normalizations and FiLM.

A norm can be computed without rounding too: values in pairs ``m + a, m - a`` have the mean m; with M a power of two the
variance, the mean of the a^2, is exact; and eps takes it to a power of four, whose root is a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...backend import Array
from .design import Draft, Drafts, Fill

Shape = tuple[int, ...]

# What is special, the shape of x, the groups. M is a power of two in the first part, in the second part it is not.
GROUPS_EXACT: list[tuple[str, Shape, int]] = [
    ("two groups of two", (2, 4, 2, 4), 2),
    ("three groups of two", (3, 6, 4, 2), 3),
    ("one group", (2, 4, 2, 2), 1),
    ("a group for each channel", (2, 3, 2, 4), 3),
    ("pairs of values", (3, 4, 2), 4),
    ("no pixels, four channels a group", (3, 8), 2),
    ("five axes", (1, 4, 2, 1, 2), 2),
]
GROUPS_ROUNDED: list[tuple[str, Shape, int]] = [
    ("groups of three channels", (2, 6, 3, 5), 2),
    ("24 channels, 8 groups", (1, 24, 3, 2), 8),
    ("three values a group", (2, 3, 3), 3),
    ("groups of seven values", (2, 21), 3),
    ("batch of five", (5, 4, 3, 2), 2),
]
BATCH_EXACT: list[tuple[str, Shape]] = [
    ("image", (2, 3, 2, 4)),
    ("tall image", (4, 5, 4, 2)),
    ("two samples, no pixels", (2, 5)),
    ("eight samples", (8, 3)),
    ("sequence", (2, 3, 4)),
    ("one sample", (1, 4, 2, 4)),
    ("five axes", (2, 3, 2, 1, 4)),
]
BATCH_ROUNDED: list[tuple[str, Shape]] = [
    ("uneven image", (3, 2, 5, 3)),
    ("three values", (3, 4)),
    ("seven values", (1, 3, 7)),
    ("24 channels", (2, 24, 3, 1)),
]
# Means far from 0, where a variance in one pass cancels; in float16 sums of squares soon overflow.
FAR = (("mean 1,000, spread 4", 1000.0, 4.0, "fd"), ("mean -30, spread 0.5", -30.0, 0.5, "efd"))
LAYOUTS = ("channels last", "strided", "sum upstream", "mean upstream", "repeated sample")
LAID_OUT = ("two groups of two", "groups of three channels", "image", "uneven image")


def group_norm() -> Iterator[Draft]:
    """Exact, rounded, far from 0, constant groups."""
    for label, shape, groups in [*GROUPS_EXACT, *GROUPS_ROUNDED]:
        fill = Fill("group_norm", label)
        sets = (shape[0] * groups, math.prod(shape[1:]) // groups)
        rows, eps = _pairs(fill, *sets) if _power_of_two(sets[1]) else (_scattered(fill, *sets), 1e-3)
        draft = Draft(label, {"x": rows.reshape(shape), **_affine(fill, shape[1])}, {"num_groups": groups, "eps": eps})
        yield from _variants(draft)
    fill = Fill("group_norm", "far")
    for label, centre, spread, dtypes in FAR:
        x = centre + spread * fill.real((2, 4, 2, 3))
        draft = Draft(label, {"x": x, **_affine(fill, 4)}, {"num_groups": 2}, dtypes=dtypes)
        yield from _variants(draft, layouts=True)
    x = np.repeat(fill.whole((2, 2, 1)), 12, axis=2).reshape(2, 4, 2, 3)
    yield Draft("constant groups", {"x": x, **_affine(fill, 4)}, {"num_groups": 2, "eps": 0.25})
    x = _scattered(fill, 4, 12).reshape(2, 4, 3, 2)
    x[0, 1, 1, 1], x[1, 3, 0, 1] = np.nan, np.inf
    yield Draft("NaN and infinity stay in their groups", {"x": x, **_affine(fill, 4)}, {"num_groups": 2})


def batch_norm() -> Iterator[Draft]:
    """The same, in both modes; what training must not look at is there to be looked at."""
    for label, shape in [*BATCH_EXACT, *BATCH_ROUNDED]:
        fill = Fill("batch_norm", label)
        N, C, *size = shape
        sets = (C, N * math.prod(size))
        rows, eps = _pairs(fill, *sets) if _power_of_two(sets[1]) else (_scattered(fill, *sets), 1e-3)
        x = np.moveaxis(rows.reshape(C, N, *size), 0, 1)
        running = {
            "running_mean": fill.whole((C,)),
            "running_var": 4.0 ** fill.rng.permutation(C).clip(0, 3) * 64 - eps,
        }
        if label == "uneven image":
            running["running_var"] = fill.rng.uniform(0.5, 2.0, C)
        arrays = {"x": x, **_affine(fill, C), **running}
        draft = Draft(label, arrays, {"training": True, "eps": eps})
        yield from _variants(draft)
        yield from _variants(draft._replace(label=f"evaluation: {label}", options={"training": False, "eps": eps}))
    fill = Fill("batch_norm", "far")
    for label, centre, spread, dtypes in FAR:
        x = centre + spread * fill.real((2, 3, 3, 2))
        none = {"running_mean": None, "running_var": None}
        draft = Draft(label, {"x": x, **_affine(fill, 3), **none}, {"training": True}, dtypes=dtypes)
        yield from _variants(draft, layouts=True)
    fill = Fill("batch_norm", "constant")
    x = np.repeat(fill.whole((1, 3, 1)), 24, axis=2).reshape(3, 1, 3, 4, 2)[:, 0].transpose(1, 0, 2, 3)
    arrays = {"x": x, **_affine(fill, 3), "running_mean": fill.whole((3,)), "running_var": np.array([1.0, 4.0, 16.0])}
    yield Draft("constant channels", arrays, {"training": True, "eps": 0.25})
    x = _scattered(fill, 3, 12).reshape(3, 3, 4)
    x[0, 1, 2] = np.nan
    arrays = {"x": x, **_affine(fill, 3), "running_mean": fill.whole((3,)), "running_var": np.array([1.0, 4.0, 16.0])}
    yield Draft("NaN stays in its channel", arrays, {"training": True})


def batch_norm_running_stats() -> Iterator[Draft]:
    """Two values, where the unbiased variance is twice the biased one; many; every momentum."""
    for label, shape, momentum in [
        ("two values, half old", (2, 5), 0.5),
        ("pairs over two axes", (1, 3, 2), 0.25),
        ("image", (2, 3, 4, 5), 0.1),
        ("three samples", (3, 4), 0.125),
        ("all new", (3, 2, 4), 1.0),
        ("all old", (2, 3, 4), 0.0),
        ("mostly new", (2, 3, 2, 4), 0.9),
    ]:
        fill = Fill("batch_norm_running_stats", label)
        C = shape[1]
        arrays = {
            "x": 2 * fill.whole(shape, 20),
            "running_mean": fill.whole((C,)),
            "running_var": abs(fill.whole((C,))),
        }
        yield Draft(label, arrays, {} if momentum == 0.1 else {"momentum": momentum})
        if label == "image":
            for layout in ("channels last", "strided", "repeated sample"):
                yield Draft(f"{label}; {layout}", arrays, {}, layout)
    fill = Fill("batch_norm_running_stats", "far")
    arrays = {
        "x": 1000 + 4 * fill.real((3, 2, 4)),
        "running_mean": fill.whole((2,)),
        "running_var": np.array([0.5, 2.0]),
    }
    yield Draft("mean 1,000, spread 4", arrays, {})


def film() -> Iterator[Draft]:
    """With and without a batch, every offset."""
    rows: list[tuple[str, Shape, int, dict[str, Any]]] = [
        ("image", (2, 3, 4, 5), 2, {}),
        ("gamma is the factor", (2, 3, 5, 2), 2, {"offset": 0}),
        ("another offset", (2, 3, 2, 3), 2, {"offset": 0.75}),
        ("as many samples as channels", (3, 3, 2, 4), 2, {}),
        ("image without a batch", (3, 4, 5), 1, {}),
        ("no pixels", (4, 3), 2, {}),
        ("channels alone", (7,), 1, {"offset": 0}),
        ("sequence", (2, 3, 7), 2, {}),
    ]
    for label, shape, lead, options in rows:
        fill = Fill("film", label)
        arrays = {
            "x": fill.whole(shape, 20),
            "gamma": fill.whole(shape[:lead], 12),
            "beta": fill.whole(shape[:lead], 30),
        }
        draft = Draft(label, arrays, options)
        yield draft
        if label == "image":
            yield from (draft._replace(label=f"{label}; {layout}", layout=layout) for layout in LAYOUTS)
    zero = {"x": fill.whole((2, 2, 3)), "gamma": np.array([[0.0, -1.0], [-1.0, 0.0]]), "beta": fill.whole((2, 2))}
    yield Draft("gamma 0 and -1: all and nothing", zero, {})


def _variants(draft: Draft, *, layouts: bool = False) -> Iterator[Draft]:
    """The case, without weight and bias, and in other memory."""
    yield draft
    if draft.label.removeprefix("evaluation: ") in ("two groups of two", "image", "groups of three channels"):
        for absent in (("weight",), ("bias",), ("weight", "bias")):
            arrays = draft.arrays | dict.fromkeys(absent)
            yield draft._replace(label=f"{draft.label}; no {' and no '.join(absent)}", arrays=arrays)
    if layouts or draft.label in LAID_OUT:
        yield from (draft._replace(label=f"{draft.label}; {layout}", layout=layout) for layout in LAYOUTS)


def _affine(fill: Fill, C: int) -> dict[str, Any]:
    return {"weight": fill.whole((C,), 7) / 2, "bias": fill.whole((C,), 15) / 2}


def _pairs(fill: Fill, sets: int, M: int) -> tuple[Array, float]:
    """Rows of M values with whole means and one variance, and the eps that takes it to a power of four."""
    a = fill.rng.integers(1, 9, M // 2)
    if M >= 8:
        a[:2] = 7, 9  # never all alike
    variance = float(np.sum(a * a)) / (M // 2)
    power = 4.0 ** math.ceil(math.log(variance + 0.25, 4))
    rows = [fill.rng.permutation(np.concatenate([a, -a])) + fill.rng.integers(-30, 31) for _ in range(sets)]
    return np.stack(rows) * 1.0, power - variance


def _scattered(fill: Fill, sets: int, M: int) -> Array:
    """Rows of any numbers, each row with a mean and a spread of its own."""
    return fill.real((sets, 1), 2.0) + fill.rng.uniform(0.5, 2.0, (sets, 1)) * fill.real((sets, M))


def _power_of_two(M: int) -> bool:
    return M & (M - 1) == 0


NORMALIZATION: dict[str, Drafts] = {
    "group_norm": group_norm,
    "batch_norm": batch_norm,
    "batch_norm_running_stats": batch_norm_running_stats,
    "film": film,
}
