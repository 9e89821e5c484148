"""Designed cases of the convolutions and the linear layer: whole numbers, so that every sum is exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .design import Draft, Drafts, Fill, special

Shape = tuple[int, ...]

# What is special, the shapes of x and weight, the options. Sizes differ wherever they can.
CONV2D: list[tuple[str, Shape, Shape, dict[str, Any]]] = [
    ("plain", (2, 3, 7, 5), (4, 3, 3, 2), {}),
    ("wide", (2, 2, 4, 9), (3, 2, 2, 3), {}),
    ("3x3 with padding", (2, 3, 6, 8), (4, 3, 3, 3), {"padding": 1}),
    (
        "stride, the height's larger, with remainders",
        (2, 2, 10, 8),
        (3, 2, 3, 2),
        {"stride": (3, 2), "padding": (1, 0)},
    ),
    ("stride, the width's larger, with remainders", (1, 2, 6, 11), (3, 2, 2, 3), {"stride": (2, 3), "padding": (0, 1)}),
    ("dilation, the height's larger", (2, 2, 9, 6), (3, 2, 3, 2), {"dilation": (3, 2)}),
    ("dilation, the width's larger", (1, 3, 5, 10), (2, 3, 2, 3), {"dilation": (2, 3), "padding": (1, 2)}),
    ("stride above dilation", (1, 2, 11, 9), (3, 2, 3, 3), {"stride": (3, 2), "dilation": (2, 1), "padding": (2, 1)}),
    ("dilation above stride", (1, 2, 9, 12), (3, 2, 2, 3), {"stride": (1, 2), "dilation": (2, 3), "padding": (1, 0)}),
    ("four pads", (2, 2, 5, 6), (3, 2, 3, 2), {"padding": ((2, 1), (0, 3))}),
    ("four pads and stride", (1, 2, 6, 7), (3, 2, 3, 4), {"padding": ((0, 2), (3, 1)), "stride": (2, 3)}),
    ("height padded", (1, 2, 4, 6), (3, 2, 3, 3), {"padding": (2, 0)}),
    ("same, even kernel", (1, 2, 5, 7), (3, 2, 4, 2), {"padding": "same"}),
    ("same, dilated", (1, 2, 7, 5), (2, 2, 3, 2), {"padding": "same", "dilation": (2, 3)}),
    ("valid", (1, 2, 5, 6), (3, 2, 2, 3), {"padding": "valid"}),
    ("groups", (2, 4, 6, 5), (6, 2, 3, 2), {"groups": 2}),
    ("groups and stride", (2, 6, 7, 8), (9, 2, 2, 3), {"groups": 3, "stride": (2, 3), "padding": (0, 1)}),
    ("groups and dilation", (1, 4, 8, 7), (6, 2, 3, 2), {"groups": 2, "dilation": (2, 3), "padding": 1}),
    ("groups and dilation, no bias", (1, 6, 5, 6), (6, 3, 2, 2), {"groups": 2, "dilation": 3}),
    ("depthwise", (2, 5, 6, 7), (5, 1, 3, 2), {"groups": 5, "padding": (1, 0)}),
    ("depthwise with stride", (2, 3, 9, 8), (3, 1, 3, 3), {"groups": 3, "stride": (2, 3), "padding": 1}),
    ("depthwise with two outputs a channel", (1, 3, 5, 6), (6, 1, 2, 3), {"groups": 3}),
    ("depthwise, 24 channels, stride 2", (2, 24, 9, 9), (24, 1, 3, 3), {"groups": 24, "stride": 2, "padding": 1}),
    ("24 channels", (1, 24, 5, 4), (8, 24, 3, 3), {"padding": 1}),
    ("1x1", (2, 5, 4, 6), (3, 5, 1, 1), {}),
    ("1x1 with stride 2", (2, 4, 7, 6), (3, 4, 1, 1), {"stride": 2}),
    ("1x1 in groups of even sizes", (1, 4, 3, 5), (8, 2, 1, 1), {"groups": 2}),
    ("1x1 in groups of odd sizes", (1, 9, 3, 4), (3, 3, 1, 1), {"groups": 3}),
    ("1x1 with padding", (1, 2, 3, 4), (3, 2, 1, 1), {"padding": (1, 2)}),
    ("gaps between windows", (2, 2, 8, 9), (3, 2, 2, 1), {"stride": (3, 4)}),
    ("windows of even size, far overlapping", (1, 2, 9, 10), (2, 2, 6, 4), {"padding": (3, 2)}),
    ("one window", (2, 3, 4, 5), (2, 3, 4, 5), {}),
    ("kernel larger than the image", (1, 2, 2, 3), (3, 2, 5, 4), {"padding": (2, 1)}),
    ("one pixel", (2, 3, 1, 1), (4, 3, 3, 3), {"padding": 1}),
    ("one row", (1, 2, 1, 9), (3, 2, 1, 4), {"stride": (1, 2)}),
    ("one column", (1, 2, 8, 1), (3, 2, 3, 1), {"stride": (2, 1)}),
    ("one channel in and out", (2, 1, 6, 5), (1, 1, 3, 2), {}),
    ("image without a batch", (3, 6, 5), (2, 3, 2, 3), {"stride": (1, 2), "padding": (1, 0)}),
    ("batch of five", (5, 2, 5, 4), (3, 2, 2, 3), {"padding": 1}),
]

TRANSPOSED: list[tuple[str, Shape, Shape, dict[str, Any]]] = [
    ("plain", (2, 3, 4, 3), (3, 4, 3, 2), {}),
    ("wide", (2, 2, 3, 5), (2, 3, 2, 3), {}),
    ("stride above the kernel: gaps", (2, 2, 3, 4), (2, 3, 2, 1), {"stride": (3, 2)}),
    ("kernel above the stride: overlaps", (1, 2, 4, 5), (2, 3, 4, 5), {"stride": (2, 3)}),
    ("the U-Net's 2x2 with stride 2", (2, 4, 3, 5), (4, 2, 2, 2), {"stride": 2}),
    ("padding", (1, 2, 5, 4), (2, 3, 3, 4), {"padding": (1, 2), "stride": (2, 1)}),
    ("four pads", (1, 2, 4, 5), (2, 3, 3, 4), {"padding": ((2, 0), (1, 3)), "stride": (2, 3)}),
    ("output padding", (2, 2, 3, 4), (2, 3, 3, 2), {"stride": (2, 3), "output_padding": (1, 2), "padding": (1, 0)}),
    ("output padding, the width's larger", (1, 2, 4, 3), (2, 3, 2, 3), {"stride": (3, 2), "output_padding": (2, 1)}),
    ("output padding over padding", (1, 2, 3, 4), (2, 3, 3, 3), {"stride": 2, "output_padding": 1, "padding": (2, 1)}),
    ("dilation", (1, 2, 4, 3), (2, 3, 2, 3), {"dilation": (3, 2)}),
    ("dilation and stride", (1, 2, 3, 4), (2, 3, 3, 2), {"dilation": (2, 3), "stride": (3, 2), "padding": (1, 2)}),
    (
        "output padding with dilation above stride", (1, 2, 4, 3), (2, 3, 2, 3),
        {"dilation": (3, 2), "stride": (2, 1), "output_padding": (2, 1), "padding": (1, 0)},
    ),
    ("groups", (2, 4, 3, 4), (4, 3, 3, 2), {"groups": 2}),
    ("groups and stride", (1, 6, 3, 4), (6, 2, 2, 3), {"groups": 3, "stride": (2, 3), "padding": (0, 1)}),
    ("groups, dilation, stride, output padding", (1, 4, 3, 4), (4, 2, 3, 2),
     {"groups": 2, "dilation": (1, 3), "stride": (3, 2), "output_padding": (2, 1), "padding": (1, 1)}),
    ("depthwise", (2, 5, 4, 3), (5, 1, 3, 2), {"groups": 5, "stride": (2, 1)}),
    ("depthwise, 24 channels, stride 2", (1, 24, 3, 3), (24, 1, 3, 3), {"groups": 24, "stride": 2, "padding": 1}),
    ("1x1 with stride 2", (2, 3, 4, 3), (3, 2, 1, 1), {"stride": 2}),
    ("one pixel", (2, 3, 1, 1), (3, 2, 3, 4), {}),
    ("groups and dilation, no bias", (1, 6, 3, 4), (6, 3, 2, 2), {"groups": 2, "dilation": 3}),
    ("five channels in", (1, 5, 3, 4), (5, 2, 2, 3), {}),
    ("as many channels in as out", (1, 3, 3, 4), (3, 3, 2, 2), {}),
    ("image without a batch", (3, 4, 3), (3, 2, 2, 3), {"stride": (1, 2), "padding": (1, 0)}),
    ("batch of five", (5, 2, 3, 4), (2, 3, 3, 2), {"padding": 1}),
]  # fmt: skip

LINEAR: list[tuple[str, Shape, Shape, dict[str, Any]]] = [
    ("plain", (5, 3), (4, 3), {}),
    ("square weight", (2, 4), (4, 4), {}),
    ("one row", (7,), (5, 7), {}),
    ("two leading axes", (2, 3, 4), (5, 4), {}),
    ("one input", (3, 1), (4, 1), {}),
    ("one output", (3, 6), (1, 6), {}),
    ("100 inputs", (3, 100), (7, 100), {}),
]

LAYOUTS = {
    "conv2d": ("groups and stride", "3x3 with padding", "1x1 with stride 2"),
    "conv_transpose2d": ("output padding", "groups and stride"),
    "linear": ("plain", "two leading axes"),
}
BATCHES = {"first two of the five": slice(0, 2), "last three of the five": slice(2, 5)}


def conv2d() -> Iterator[Draft]:
    """The table, other memory, halves of a batch, and what a table cannot say."""
    yield from _table("conv2d", CONV2D, outputs=0)
    fill = Fill("conv2d", "nan")
    # a kernel of one row and stride 1: nobody multiplies by zeros that are not padding, or transforms a whole tile
    x = special(fill.whole((2, 2, 4, 6)), nan=(0, 1, 2, 3), inf=(1, 0, 0, 1), minus=(1, 1, 3, 5))
    arrays = {"x": x, "weight": fill.whole((3, 2, 1, 2)), "bias": fill.whole((3,))}
    yield Draft("NaN and infinity", arrays, {})
    fill = Fill("conv2d", "many")
    arrays = {"x": fill.whole((65_537, 1, 1, 2)), "weight": fill.whole((1, 1, 1, 2)), "bias": None}
    yield Draft("65,537 samples", arrays, {})


def conv_transpose2d() -> Iterator[Draft]:
    """The table, other memory, halves of a batch."""
    yield from _table("conv_transpose2d", TRANSPOSED, outputs=1)


def linear() -> Iterator[Draft]:
    """The table, other memory, halves of a batch."""
    yield from _table("linear", [*LINEAR, ("batch of five", (5, 6), (3, 6), {})], outputs=0)


def _table(name: str, rows: list[tuple[str, Shape, Shape, dict[str, Any]]], outputs: int) -> Iterator[Draft]:
    """``outputs``: the axis of the weight that, times the groups for a transposed convolution, counts the outputs."""
    for label, shape, weight, options in rows:
        fill = Fill(name, label)
        channels = weight[outputs] * (options.get("groups", 1) if outputs else 1)
        arrays = {"x": fill.whole(shape), "weight": fill.whole(weight, 7), "bias": fill.whole((channels,), 40)}
        draft = Draft(label, arrays if "no bias" not in label else arrays | {"bias": None}, options)
        yield draft
        if label == "plain":
            yield draft._replace(label="no bias", arrays=arrays | {"bias": None})
        if label in LAYOUTS[name]:
            for layout in ("channels last", "strided", "sum upstream", "mean upstream", "repeated sample"):
                if layout != "channels last" or name != "linear":
                    yield draft._replace(label=f"{label}; {layout}", layout=layout)
        if label == "batch of five":
            for part, samples in BATCHES.items():
                yield draft._replace(label=part, arrays=arrays | {"x": arrays["x"][samples]})


CONVOLUTION: dict[str, Drafts] = {"conv2d": conv2d, "conv_transpose2d": conv_transpose2d, "linear": linear}
