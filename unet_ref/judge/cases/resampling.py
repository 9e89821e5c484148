"""Designed cases of the resamplings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .design import Draft, Drafts, Fill, special

Shape = tuple[int, ...]

# Scales are powers of two wherever the bilinear weights shall be exact.
SIZES: list[tuple[str, Shape, dict[str, Any]]] = [
    ("twice", (2, 3, 3, 5), {"scale_factor": 2}),
    ("twice, as a size", (1, 2, 4, 3), {"size": (8, 6)}),
    ("twice high, four times wide", (2, 2, 3, 4), {"scale_factor": (2, 4)}),
    ("four times high, twice wide", (1, 3, 4, 2), {"scale_factor": (4, 2)}),
    ("half", (2, 2, 6, 8), {"scale_factor": 0.5}),
    ("half high, twice wide", (1, 2, 8, 3), {"scale_factor": (0.5, 2)}),
    ("three times", (1, 2, 3, 4), {"scale_factor": 3}),
    ("size that does not divide", (1, 2, 4, 5), {"size": (7, 9)}),
    ("down to a size that does not divide", (1, 2, 9, 7), {"size": (4, 5)}),
    ("one and a half times", (1, 2, 4, 6), {"scale_factor": 1.5}),
    ("fractional scale, taken at its word", (1, 2, 5, 7), {"scale_factor": (1.3, 2.1)}),
    ("fractional scale that floors to less", (1, 2, 7, 5), {"scale_factor": (1.7, 1.9)}),
    ("same size at scale 1", (1, 2, 4, 5), {"scale_factor": 1}),
    ("same size at scale 1.02", (1, 2, 5, 6), {"scale_factor": 1.02}),
    ("one pixel", (2, 3, 1, 1), {"size": (3, 4)}),
    ("one row", (1, 2, 1, 6), {"scale_factor": (4, 2)}),
    ("one column", (1, 2, 5, 1), {"scale_factor": 2}),
    ("down to one pixel", (1, 2, 4, 8), {"size": 1}),
    ("to one row", (1, 2, 4, 5), {"size": (1, 10)}),
    ("image without a batch", (3, 3, 4), {"scale_factor": 2}),
    ("batch of five", (5, 2, 3, 4), {"scale_factor": 2}),
]

CROPS: list[tuple[str, Shape, Any]] = [
    ("even differences", (2, 3, 8, 7), (4, 3)),
    ("odd differences", (2, 2, 7, 8), (4, 3)),
    ("differences of 3", (1, 2, 8, 9), (5, 6)),
    ("square", (1, 2, 6, 9), 3),
    ("nothing cut", (2, 3, 4, 5), (4, 5)),
    ("only the height", (1, 2, 7, 4), (2, 4)),
    ("only the width", (1, 2, 4, 7), (4, 2)),
    ("one pixel", (1, 2, 4, 6), 1),
    ("image without a batch", (3, 7, 6), (2, 5)),
    ("batch of five", (5, 2, 5, 6), (4, 3)),
]

PADS: list[tuple[str, Shape, dict[str, Any]]] = [
    ("zeros", (2, 3, 4, 5), {"padding": 1}),
    ("height and width differ", (2, 2, 5, 4), {"padding": (1, 3)}),
    ("four pads", (1, 2, 4, 5), {"padding": ((1, 2), (3, 0))}),
    ("four pads of a constant", (1, 2, 4, 3), {"padding": ((0, 2), (1, 3)), "value": -2.5}),
    ("reflect", (2, 2, 5, 6), {"padding": ((2, 1), (3, 4)), "mode": "reflect"}),
    ("reflect as far as it goes", (1, 2, 4, 3), {"padding": (3, 2), "mode": "reflect"}),
    ("replicate", (2, 2, 4, 5), {"padding": ((1, 3), (2, 0)), "mode": "replicate"}),
    ("replicate, wider than the image", (1, 2, 2, 3), {"padding": (5, 4), "mode": "replicate"}),
    ("negative: a crop", (1, 2, 6, 7), {"padding": ((-1, -2), (-3, 0))}),
    ("negative and positive", (1, 2, 5, 6), {"padding": ((2, -1), (-2, 3)), "value": 4.0}),
    ("nothing", (1, 2, 3, 4), {"padding": 0}),
    ("reflect and cut", (1, 2, 6, 5), {"padding": ((2, -1), (-1, 3)), "mode": "reflect"}),
    ("replicate and cut", (1, 2, 5, 4), {"padding": ((-2, 3), (2, -1)), "mode": "replicate"}),
    ("image without a batch", (2, 3, 4), {"padding": (1, 2)}),
    ("batch of five", (5, 2, 3, 4), {"padding": ((1, 0), (0, 2)), "mode": "reflect"}),
]

LAID_OUT = ("twice", "fractional scale, taken at its word", "odd differences", "reflect", "height and width differ")
BATCHES = {"first two of the five": slice(0, 2), "last three of the five": slice(2, 5)}


def upsample_nearest2d() -> Iterator[Draft]:
    """All sizes; NaN and infinity are copied."""
    yield from _table("upsample_nearest2d", SIZES)
    x = special(Fill("nearest", "nan").whole((1, 1, 3, 4)), nan=(0, 0, 1, 2), inf=(0, 0, 0, 0), minus=(0, 0, 2, 3))
    yield Draft("NaN and infinity", {"x": x}, {"scale_factor": 2})


def upsample_bilinear2d() -> Iterator[Draft]:
    """All sizes."""
    yield from _table("upsample_bilinear2d", SIZES)


def center_crop2d() -> Iterator[Draft]:
    """Odd and even differences; what is cut off may be anything."""
    yield from _table("center_crop2d", [(label, shape, {"size": size}) for label, shape, size in CROPS])
    x = special(Fill("crop", "nan").whole((1, 1, 5, 6)), nan=(0, 0, 0, 0), inf=(0, 0, 2, 2), minus=(0, 0, 4, 5))
    yield Draft("NaN and infinity", {"x": x}, {"size": (3, 4)})


def pad2d() -> Iterator[Draft]:
    """All modes."""
    yield from _table("pad2d", PADS)
    x = special(Fill("pad", "nan").whole((1, 1, 3, 4)), nan=(0, 0, 0, 1), inf=(0, 0, 2, 0), minus=(0, 0, 1, 3))
    yield Draft("NaN and infinity", {"x": x}, {"padding": (1, 2), "mode": "replicate"})
    yield Draft("a border of minus infinity", {"x": x}, {"padding": (1, 2), "value": float("-inf")})


def _table(name: str, rows: list[tuple[str, Shape, dict[str, Any]]]) -> Iterator[Draft]:
    for label, shape, options in rows:
        x = Fill(name, label).whole(shape, 40)
        draft = Draft(label, {"x": x}, options)
        yield draft
        if label in LAID_OUT:
            for layout in ("channels last", "strided", "sum upstream", "mean upstream", "repeated sample"):
                yield draft._replace(label=f"{label}; {layout}", layout=layout)
        if label == "batch of five":
            for part, samples in BATCHES.items():
                yield draft._replace(label=part, arrays={"x": x[samples]})


RESAMPLING: dict[str, Drafts] = {
    "upsample_nearest2d": upsample_nearest2d,
    "upsample_bilinear2d": upsample_bilinear2d,
    "center_crop2d": center_crop2d,
    "pad2d": pad2d,
}
