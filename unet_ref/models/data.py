"""Small data made on the spot from a seed: for each network a task that shows that it learns what it is built for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .model import Model

Batch: TypeAlias = tuple[tuple[Any, ...], Any]  # the network's inputs, and the target


class Task(NamedTuple):
    """What a network is trained on: in a word, with which loss, at which small size, by which batches."""

    purpose: str
    loss: str
    options: Mapping[str, int]
    shape: tuple[int, int, int, int]
    draw: Callable[[np.random.Generator, Model, tuple[int, ...]], Batch]

    def batch(self, rng: np.random.Generator, model: Model, shape: tuple[int, ...], dtype: Any) -> Batch:
        """Inputs for images of this shape and their target; ``dtype`` is that of everything but classes."""
        inputs, target = self.draw(rng, model, shape)
        return tuple(a.astype(dtype) for a in inputs), target if target.dtype.kind == "i" else target.astype(dtype)


def blobs(rng: np.random.Generator, model: Model, shape: tuple[int, ...]) -> Batch:
    """Bright discs on a slope of grey in noise; every pixel's class is whether a disc covers it."""
    N, C, H, W = shape
    rows, columns = np.mgrid[:H, :W]
    covered = np.zeros((N, H, W), bool)
    for n in range(N):
        for _ in range(3):
            radius = rng.uniform(0.1, 0.25) * min(H, W)
            covered[n] |= (rows - rng.uniform(0, H)) ** 2 + (columns - rng.uniform(0, W)) ** 2 < radius**2
    slope = rng.standard_normal((N, 1, 1, 1)) * rows / H + rng.standard_normal((N, 1, 1, 1)) * columns / W
    x = 2.0 * covered[:, None] + slope + 0.5 * rng.standard_normal((N, C, H, W))
    height, width = model.output_shape(*model.input_shapes(shape))[2:]
    top, left = (H - height) // 2, (W - width) // 2  # an unpadded network answers for the middle only
    return (x,), covered[:, top : top + height, left : left + width].astype(np.int64)


def weather(rng: np.random.Generator, model: Model, shape: tuple[int, ...]) -> Batch:
    """One image of noise for the whole batch: the target is 1 all over where the weather's first number is positive.

    Elsewhere it is 0. Half of the batch is positive, so that without the weather no answer does better than ``log 2``.
    """
    shapes = model.input_shapes(shape)
    x = rng.standard_normal(shape[1:]) + np.zeros(shape)
    vector = rng.standard_normal(shapes[1])
    vector[:, 0] = np.abs(vector[:, 0]) * np.where(rng.permutation(len(vector)) % 2, 1, -1)
    target = np.zeros(model.output_shape(*shapes)) + (vector[:, 0] > 0)[:, None, None, None]
    return (x, vector), target


def sprites(rng: np.random.Generator, model: Model, shape: tuple[int, ...]) -> Batch:
    """Sprites in noise: the noise is to be told, from the image, the time (how much noise) and the kind of sprite.

    Signal and noise have the variances ``cos²`` and ``sin²`` of ``t * pi/2``.
    """
    N, C, H, W = shape
    kinds = model.input_shapes(shape)[2][1]
    kind = rng.integers(kinds, size=N)
    colour = rng.uniform(-1, 1, (N, C, 1, 1))
    x = colour * np.stack([figure(rng, k % len(FIGURES), H, W) for k in kind])[:, None]
    t = rng.uniform(0, 1, (N, 1))
    noise = rng.standard_normal(shape)
    angle = (t * np.pi / 2)[:, :, None, None]
    return (np.cos(angle) * x + np.sin(angle) * noise, t, np.eye(kinds)[kind]), noise


def shapes(rng: np.random.Generator, model: Model, shape: tuple[int, ...]) -> Batch:
    """Images with one of ten figures each, anywhere and of any size; which it is, is the class."""
    N, C, H, W = shape
    classes = min(len(FIGURES), model.output_shape(shape)[1])
    target = rng.integers(classes, size=N)
    drawn = np.stack([figure(rng, k, H, W) for k in target])[:, None]
    return (2.0 * drawn + 0.3 * rng.standard_normal((N, C, H, W)),), target


FIGURES: tuple[Callable[[Any, Any], Any], ...] = (
    lambda u, v: u * u + v * v < 1,  # disc
    lambda u, v: abs(u * u + v * v - 0.75) < 0.25,  # ring
    lambda u, v: np.maximum(abs(u), abs(v)) < 0.9,  # square
    lambda u, v: abs(np.maximum(abs(u), abs(v)) - 0.75) < 0.2,  # frame
    lambda u, v: abs(u) + abs(v) < 1,  # diamond
    lambda u, v: (np.minimum(abs(u), abs(v)) < 0.25) & (np.maximum(abs(u), abs(v)) < 1),  # plus
    lambda u, v: (abs(abs(u) - abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 0.9),  # cross
    lambda u, v: (u < 0.8) & (2 * abs(v) < u + 1),  # triangle
    lambda u, v: (np.sin(3 * np.pi * u) > 0) & (np.maximum(abs(u), abs(v)) < 1),  # bars across
    lambda u, v: (np.sin(3 * np.pi * v) > 0) & (np.maximum(abs(u), abs(v)) < 1),  # bars upright
)


def figure(rng: np.random.Generator, kind: int, H: int, W: int) -> Any:
    """One figure, 1 inside and 0 outside, of a third to a half of the image, wholly inside it."""
    radius = rng.uniform(0.32, 0.48) * min(H, W)
    rows, columns = np.mgrid[:H, :W] + 0.5
    u, v = ((grid - rng.uniform(radius, side - radius)) / radius for grid, side in ((rows, H), (columns, W)))
    return FIGURES[kind](u, v).astype(np.float64)


TASKS: dict[str, Task] = {
    "unet2": Task("segmentation of blobs", "cross_entropy", {"base_channels": 8}, (4, 1, 32, 32), blobs),
    "unet_film": Task(
        "a target that only the weather decides", "binary_cross_entropy_with_logits",
        {"base_channels": 4, "film_hidden": 16}, (8, 17, 32, 32), weather,
    ),
    "resnet50": Task("ten figures", "cross_entropy", {"base_channels": 4, "num_classes": 10}, (16, 3, 64, 64), shapes),
    "resnet_unet": Task("segmentation of blobs", "cross_entropy", {"base_channels": 4}, (4, 1, 32, 32), blobs),
    "context_unet": Task("noise in sprites", "mse_loss", {"n_feat": 8, "height": 16}, (8, 3, 16, 16), sprites),
    "unet": Task("segmentation of blobs", "cross_entropy", {"base_channels": 4}, (4, 3, 32, 32), blobs),
}  # fmt: skip
