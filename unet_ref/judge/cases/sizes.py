"""Designed cases of special sizes: where kernels switch to other code, as bugs that shipped tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from .design import Draft, Drafts, Fill


def conv2d() -> Iterator[Draft]:
    """pytorch#50042: the last kernel row meets the image's last row only where the size is even."""
    fill = Fill("conv2d", "24 channels, even")
    arrays = {"x": fill.whole((2, 24, 10, 8)), "weight": fill.whole((24, 1, 3, 3), 7), "bias": fill.whole((24,), 40)}
    yield Draft("depthwise, 24 channels, stride 2, even image", arrays, {"groups": 24, "stride": 2, "padding": 1})


def batch_norm() -> Iterator[Draft]:
    """MIOpen#1109: above 768 samples. Half the values of a channel lie 2 below its mean, half 2 above: all is exact."""
    fill = Fill("batch_norm", "many")
    signs = fill.rng.permuted([[-1.0, 1.0] * 512] * 2, axis=1).T
    arrays = {"x": 2 * signs + [5.0, -3.0], "weight": fill.whole((2,), 7), "bias": fill.whole((2,), 15)}
    running = {"running_mean": fill.whole((2,)), "running_var": fill.whole((2,)) ** 2}
    for training in (True, False):
        label = "1,024 samples" if training else "evaluation: 1,024 samples"
        yield Draft(label, arrays | running, {"training": training, "eps": 12.0})


def linear() -> Iterator[Draft]:
    """pytorch#96225: from 65,536 samples on."""
    fill = Fill("linear", "many")
    arrays = {"x": fill.whole((65_537, 2)), "weight": fill.whole((1, 2)), "bias": fill.whole((1,))}
    yield Draft("65,537 samples", arrays, {})


def scaled(name: str) -> Drafts:
    """pytorch#65200: a scale near 1, of an image so large that it grows."""

    def drafts() -> Iterator[Draft]:
        x = Fill(name, "scale near 1").whole((1, 2, 45, 4), 40)
        yield Draft("scale 1.0239", {"x": x}, {"scale_factor": (1.0239, 2)})

    return drafts


SIZES: dict[str, Drafts] = {
    "conv2d": conv2d,
    "batch_norm": batch_norm,
    "linear": linear,
    "upsample_nearest2d": scaled("upsample_nearest2d"),
    "upsample_bilinear2d": scaled("upsample_bilinear2d"),
}


def with_sizes(families: dict[str, Drafts]) -> dict[str, Drafts]:
    """The same cases, and behind them those of special sizes."""
    return families | {name: _both(families[name], more) for name, more in SIZES.items()}


def _both(first: Drafts, second: Drafts) -> Drafts:
    return lambda: itertools.chain(first(), second())
