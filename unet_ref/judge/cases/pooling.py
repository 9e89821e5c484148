"""Designed cases of the poolings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .design import Draft, Drafts, Fill, special

Shape = tuple[int, ...]

# Windows that both poolings know: what is special, the shape of x, the options.
WINDOWS: list[tuple[str, Shape, dict[str, Any]]] = [
    ("2x2", (2, 3, 6, 8), {"kernel_size": 2}),
    ("uneven kernel with remainders", (2, 2, 7, 5), {"kernel_size": (3, 2)}),
    ("wide kernel with remainders", (1, 3, 5, 8), {"kernel_size": (2, 3)}),
    ("overlaps, the height's stride larger", (2, 2, 9, 7), {"kernel_size": (4, 3), "stride": (3, 1)}),
    ("overlaps, the width's stride larger", (1, 2, 6, 10), {"kernel_size": (3, 4), "stride": (1, 3)}),
    ("gaps between windows", (2, 2, 8, 9), {"kernel_size": (2, 1), "stride": (3, 4)}),
    ("padding", (2, 2, 5, 7), {"kernel_size": (3, 4), "stride": (2, 3), "padding": (1, 2)}),
    ("four pads", (1, 3, 6, 5), {"kernel_size": (4, 4), "stride": (2, 3), "padding": ((2, 0), (1, 2))}),
    ("ceil mode", (2, 2, 7, 8), {"kernel_size": (2, 3), "ceil_mode": True}),
    ("ceil mode, a window over the end by 2", (1, 2, 6, 8), {"kernel_size": 3, "stride": (2, 3), "ceil_mode": True}),
    (
        "ceil mode, a window behind the image dropped", (1, 2, 4, 5),
        {"kernel_size": (2, 2), "stride": (3, 2), "padding": (1, 1), "ceil_mode": True},
    ),
    (
        "ceil mode and padding", (2, 2, 6, 7),
        {"kernel_size": (4, 3), "stride": (3, 4), "padding": ((1, 2), (0, 1)), "ceil_mode": True},
    ),
    ("one window", (2, 3, 3, 4), {"kernel_size": (3, 4)}),
    ("1x1 with stride 2", (1, 2, 5, 6), {"kernel_size": 1, "stride": 2}),
    ("1x1", (1, 2, 3, 4), {"kernel_size": 1}),
    ("one row", (1, 2, 1, 9), {"kernel_size": (1, 4), "stride": (1, 2)}),
    ("image without a batch", (3, 6, 7), {"kernel_size": (2, 3), "stride": (2, 1)}),
    ("batch of five", (5, 2, 5, 6), {"kernel_size": (3, 2), "stride": (2, 1)}),
]  # fmt: skip

DILATED: list[tuple[str, Shape, dict[str, Any]]] = [
    ("dilation", (2, 2, 9, 8), {"kernel_size": (3, 2), "dilation": (2, 3), "stride": (2, 1)}),
    ("dilation and padding", (1, 2, 8, 9), {"kernel_size": (2, 3), "dilation": (3, 2), "stride": 2, "padding": (1, 1)}),
    (
        "dilation and ceil mode", (1, 2, 8, 7),
        {"kernel_size": (3, 2), "dilation": (2, 3), "stride": (3, 2), "ceil_mode": True, "padding": (1, 0)},
    ),
]  # fmt: skip

AVERAGES: list[tuple[str, Shape, dict[str, Any]]] = [
    (
        "padding not counted", (2, 2, 5, 7),
        {"kernel_size": (4, 2), "stride": (2, 1), "padding": (2, 1), "count_include_pad": False},
    ),
    (
        "padding not counted, ceil mode", (1, 2, 6, 7),
        {"kernel_size": 4, "stride": 3, "padding": ((1, 2), (0, 1)), "ceil_mode": True, "count_include_pad": False},
    ),
    ("another divisor", (1, 2, 5, 6), {"kernel_size": (3, 2), "stride": 2, "padding": 1, "divisor_override": 4}),
    ("a negative divisor", (1, 2, 5, 4), {"kernel_size": 2, "stride": 1, "divisor_override": -2}),
]  # fmt: skip

ADAPTIVE: list[tuple[str, Shape, Any]] = [
    ("divides", (2, 2, 8, 6), (4, 3)),
    ("does not divide: overlaps", (2, 2, 7, 10), (3, 4)),
    ("does not divide, the other way", (1, 3, 10, 7), (4, 5)),
    ("global", (2, 5, 4, 8), 1),
    ("global, uneven", (2, 3, 5, 7), (1, 1)),
    ("larger than the image", (1, 2, 3, 4), (5, 8)),
    ("the image's own height", (1, 2, 5, 8), (None, 2)),
    ("the image's own width", (1, 2, 8, 5), (4, None)),
    ("image without a batch", (3, 6, 8), (3, 2)),
    ("batch of five", (5, 2, 6, 4), (3, 2)),
]

LAID_OUT = ("padding", "overlaps, the height's stride larger", "does not divide: overlaps")
BATCHES = {"first two of the five": slice(0, 2), "last three of the five": slice(2, 5)}


def max_pool2d() -> Iterator[Draft]:
    """The windows with all pixels different; and ties, negative images, infinities and NaN."""
    yield from _table("max_pool2d", [*WINDOWS, *DILATED])
    for label, shape, options in WINDOWS:
        if "padding" in options:
            x = Fill("max_pool2d", "negative", label).distinct(shape)
            x -= x.size
            yield Draft(f"all negative; {label}", {"x": x}, options)
    fill = Fill("max_pool2d", "ties")
    overlapping = {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)}
    ties = fill.rng.integers(-1, 2, (2, 3, 7, 6)) * 1.0
    yield Draft("ties", {"x": ties}, overlapping)
    yield Draft("ties everywhere", {"x": np.full((1, 2, 5, 6), -3.0)}, overlapping)
    yield Draft("ties of zeros after a ReLU", {"x": np.maximum(fill.whole((2, 2, 6, 7)), 0)}, {"kernel_size": (2, 3)})
    x = special(fill.distinct((1, 2, 6, 7)), nan=(0, 0, 2, 3), inf=(0, 1, 1, 1), minus=(0, 1, 4, 4))
    yield Draft("NaN and infinity", {"x": x}, {"kernel_size": 2, "stride": 2})
    yield Draft("NaN in several windows", {"x": x}, {"kernel_size": 3, "stride": 1, "padding": 1})
    x = fill.distinct((1, 2, 6, 6))
    x[:, :, :3, 2:4] = -np.inf
    yield Draft("windows of minus infinity", {"x": x}, {"kernel_size": (2, 2), "padding": (1, 0)})


def avg_pool2d() -> Iterator[Draft]:
    """The windows, and every way to count what is under them."""
    yield from _table("avg_pool2d", [*WINDOWS, *AVERAGES])
    x = special(Fill("avg_pool2d", "nan").whole((1, 2, 6, 7)), nan=(0, 0, 2, 3), inf=(0, 1, 1, 1), minus=(0, 1, 4, 4))
    yield Draft("NaN and infinity", {"x": x}, {"kernel_size": (2, 3), "stride": 2, "padding": (1, 0)})


def adaptive_avg_pool2d() -> Iterator[Draft]:
    """Sizes that divide and sizes that do not."""
    yield from _table("adaptive_avg_pool2d", [(label, shape, {"output_size": size}) for label, shape, size in ADAPTIVE])


def _table(name: str, rows: list[tuple[str, Shape, dict[str, Any]]]) -> Iterator[Draft]:
    for label, shape, options in rows:
        fill = Fill(name, label)
        x = fill.distinct(shape) if name == "max_pool2d" else fill.whole(shape, 40)
        draft = Draft(label, {"x": x}, options)
        yield draft
        if label in LAID_OUT:
            for layout in ("channels last", "strided", "sum upstream", "mean upstream", "repeated sample"):
                yield draft._replace(label=f"{label}; {layout}", layout=layout)
        if label == "batch of five":
            for part, samples in BATCHES.items():
                yield draft._replace(label=part, arrays={"x": x[samples]})


POOLING: dict[str, Drafts] = {
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
}
