"""What is measured: every operation and every network, at sizes that show what more images, pixels and channels cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..check.operation import Case
from ..check.table import OPERATIONS
from ..models import MODELS


class Job(NamedTuple):
    """An operation or a network, the shape of its image, and arguments of the network's constructor."""

    name: str
    shape: tuple[int, int, int, int]
    options: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        width = "".join(f", width {value}" for key, value in self.options if key in ("base_channels", "n_feat"))
        return "x".join(map(str, self.shape)) + width


Draw: TypeAlias = Callable[[np.random.Generator], Any]
Drawn: TypeAlias = tuple[dict[str, Draw], dict[str, Any]]  # how to draw each array; options


def _normal(*shape: int) -> Draw:
    return lambda rng: rng.standard_normal(shape)


def _image(**options: Any) -> Callable[[int, int, int], Drawn]:
    return lambda N, C, S: ({"x": _normal(N, C, S, S)}, options)


def _doubled(**options: Any) -> Callable[[int, int, int], Drawn]:
    """An image that the operation makes twice as large."""
    return lambda N, C, S: ({"x": _normal(N, C, S // 2, S // 2)}, options)


def _norm(**options: Any) -> Callable[[int, int, int], Drawn]:
    return lambda N, C, S: ({"x": _normal(N, C, S, S), "weight": _normal(C), "bias": _normal(C)}, options)


def _loss(N: int, C: int, S: int) -> Drawn:
    return {"x": _normal(N, C, S, S), "target": lambda rng: rng.random((N, C, S, S))}, {}


# for an image of N x C x S x S, as the networks call it
ARGUMENTS: dict[str, Callable[[int, int, int], Drawn]] = {
    "conv2d": lambda N, C, S: (
        {"x": _normal(N, C, S, S), "weight": _normal(C, C, 3, 3), "bias": _normal(C)},
        {"padding": 1},
    ),
    "conv_transpose2d": lambda N, C, S: (
        {"x": _normal(N, C, S // 2, S // 2), "weight": _normal(C, C // 2, 2, 2), "bias": _normal(C // 2)},
        {"stride": 2},
    ),
    "max_pool2d": _image(kernel_size=2),
    "avg_pool2d": _image(kernel_size=2),
    "adaptive_avg_pool2d": _image(output_size=1),
    "batch_norm": _norm(training=True),
    "batch_norm_running_stats": lambda N, C, S: (
        {"x": _normal(N, C, S, S), "running_mean": _normal(C), "running_var": lambda rng: rng.random(C)},
        {},
    ),
    "group_norm": _norm(num_groups=8),
    "film": lambda N, C, S: ({"x": _normal(N, C, S, S), "gamma": _normal(N, C), "beta": _normal(N, C)}, {}),
    "concat": lambda N, C, S: (
        {"arrays": lambda rng: tuple(rng.standard_normal((N, C // 2, S, S)) for _ in range(2))},
        {},
    ),
    "linear": lambda N, C, S: (
        {"x": _normal(N * S, 8 * C), "weight": _normal(8 * C, 8 * C), "bias": _normal(8 * C)},
        {},
    ),
    "relu": _image(),
    "sigmoid": _image(),
    "gelu": _image(),
    "glu": _image(axis=1),
    "upsample_nearest2d": _doubled(scale_factor=2),
    "upsample_bilinear2d": _doubled(scale_factor=2),
    "center_crop2d": lambda N, C, S: ({"x": _normal(N, C, S, S)}, {"size": 3 * S // 4}),
    "pad2d": _image(padding=1),
    "mse_loss": _loss,
    "binary_cross_entropy_with_logits": _loss,
    "cross_entropy": lambda N, C, S: (
        {"x": _normal(N, C, S, S), "target": lambda rng: rng.integers(0, C, (N, S, S))},
        {},
    ),
}


def _sizes(name: str, N: int, C: int, side: int) -> tuple[Job, ...]:
    """The seed's width; then a quarter of it, four times the batch, four times the pixels."""
    narrow = (("base_channels", 16),)
    return (
        Job(name, (N, C, side, side)),
        Job(name, (N, C, side, side), narrow),
        Job(name, (4 * N, C, side, side), narrow),
        Job(name, (N, C, 2 * side, 2 * side), narrow),
    )


NETWORKS: dict[str, tuple[Job, ...]] = {
    "unet2": _sizes("unet2", 1, 1, 256),
    "unet_film": _sizes("unet_film", 2, 17, 256),
    "resnet50": _sizes("resnet50", 2, 3, 224),
    "resnet_unet": _sizes("resnet_unet", 1, 1, 256),
    "context_unet": (  # knows four sizes alone
        Job("context_unet", (8, 3, 16, 16), (("n_feat", 64), ("height", 16))),
        Job("context_unet", (8, 3, 16, 16), (("n_feat", 16), ("height", 16))),
        Job("context_unet", (32, 3, 16, 16), (("n_feat", 16), ("height", 16))),
        Job("context_unet", (8, 3, 28, 28), (("n_feat", 16), ("height", 28))),
    ),
    "unet": _sizes("unet", 1, 3, 256),
}

KNOWN = (*OPERATIONS, *MODELS)


def jobs(name: str) -> tuple[Job, ...]:
    """The sizes of the table; the first is the one that counts."""
    shapes = (1, 64, 128, 128), (4, 64, 128, 128), (1, 64, 256, 256), (1, 256, 128, 128)
    return NETWORKS[name] if name in MODELS else tuple(Job(name, shape) for shape in shapes)


def growth(name: str) -> dict[str, tuple[Job, ...]]:
    """The sizes of the plot: more pixels in one image, more images of one size; networks at the seed's width."""
    first = NETWORKS[name][0] if name in MODELS else Job(name, (1, 64, 0, 0))
    C, batches = first.shape[1], (1, 2, 4, 8, 16)
    if name == "context_unet":
        sides = tuple(Job(name, (1, C, S, S), (first.options[0], ("height", S))) for S in (16, 20, 24, 28))
        return {"pixels": sides, "batch": tuple(first._replace(shape=(N, C, 16, 16)) for N in batches)}
    return {
        "pixels": tuple(Job(name, (1, C, S, S)) for S in (64, 128, 256, 512, 1024)),
        "batch": tuple(Job(name, (N, C, 128, 128)) for N in batches),
    }


def case(job: Job, dtype: str) -> Case:
    """The operation's arguments, the same at every call."""
    N, C, S, _ = job.shape
    rng = np.random.default_rng(0)
    arrays, options = ARGUMENTS[job.name](N, C, S)
    return Case({name: draw(rng) for name, draw in arrays.items()}, options).map(lambda array: array.astype(dtype))
