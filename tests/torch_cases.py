"""Random arguments over the whole range that PyTorch and this package both accept, drawn apart from the package's table.

``draw(name, rng)`` gives ``(arrays, options)`` of one operation. Every option takes every kind of value that it has: an
int, a pair, four pads, a word, nothing; and batches are of several samples, of one, of none, or absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Drawn = tuple[dict[str, Any], dict[str, Any]]
CASES: dict[str, Callable[[np.random.Generator], Drawn]] = {}


def draw(name: str, rng: np.random.Generator) -> Drawn:
    """Arguments that PyTorch accepts: ``forward(**arrays, **options)``."""
    return CASES[name](rng)


def case(function: Callable[[np.random.Generator], Drawn]) -> Callable[[np.random.Generator], Drawn]:
    CASES[function.__name__] = function
    return function


def integers(rng, low, high, count=None):
    """Ints from ``low`` up to and with ``high``."""
    return (
        int(rng.integers(low, high + 1)) if count is None else tuple(int(v) for v in rng.integers(low, high + 1, count))
    )


def some(rng, *values):
    """One of the values."""
    return values[rng.integers(len(values))]


def int_or_pair(rng, low, high):
    return some(rng, integers(rng, low, high), integers(rng, low, high, 2))


def lead(rng, *, empty=True):
    """A batch of two or three samples, of one, of none, or no batch at all."""
    return some(rng, (3,), (2,), (1,), (), *([(0,)] if empty else []))


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def size_that_holds(rng, kernel, dilation=1):
    """An image that the dilated kernel fits on, with a few pixels more."""
    return tuple(d * (k - 1) + 1 + integers(rng, 0, 5) for k, d in zip(pair(kernel), pair(dilation), strict=True))


def normal(rng, *shape):
    return rng.standard_normal(shape)


def maybe(rng, *shape):
    """An array, or none: two times in three there is one."""
    return normal(rng, *shape) if rng.integers(3) else None


@case
def conv2d(rng):
    groups = integers(rng, 1, 3)
    O, C = groups * integers(rng, 1, 3), groups * integers(rng, 1, 3)
    kernel, dilation = integers(rng, 1, 4, 2), int_or_pair(rng, 1, 3)
    padding = some(rng, int_or_pair(rng, 0, 3), (integers(rng, 0, 3, 2), integers(rng, 0, 3, 2)), "valid", "same")
    arrays = {
        "x": normal(rng, *lead(rng), C, *size_that_holds(rng, kernel, dilation)),
        "weight": normal(rng, O, C // groups, *kernel),
        "bias": maybe(rng, O),
    }
    stride = 1 if padding == "same" else int_or_pair(rng, 1, 4)
    return arrays, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@case
def conv_transpose2d(rng):
    groups = integers(rng, 1, 3)
    O, C = groups * integers(rng, 1, 3), groups * integers(rng, 1, 3)
    kernel, dilation, stride = integers(rng, 1, 4, 2), int_or_pair(rng, 1, 3), int_or_pair(rng, 1, 4)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, pair(dilation), strict=True)]
    (top, bottom), (left, right) = (integers(rng, 0, (span - 1) // 2, 2) for span in spans)  # leaves a pixel
    padding = some(rng, ((top, bottom), (left, right)), (top, left), min(top, left), 0)
    most = [max(s, d) - 1 for s, d in zip(pair(stride), pair(dilation), strict=True)]
    output_padding = some(rng, 0, min(most), tuple(integers(rng, 0, m) for m in most))
    arrays = {
        "x": normal(rng, *lead(rng), C, *integers(rng, 1, 5, 2)),
        "weight": normal(rng, C, O // groups, *kernel),
        "bias": maybe(rng, O),
    }
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    return arrays, options | {"groups": groups, "dilation": dilation}


def pool(rng, dilation):
    kernel = int_or_pair(rng, 1, 4)
    limits = [k // 2 for k in pair(kernel)]
    sides = tuple(integers(rng, 0, limit, 2) for limit in limits)
    padding = some(rng, 0, min(limits), tuple(integers(rng, 0, limit) for limit in limits), sides)
    x = normal(rng, *lead(rng), integers(rng, 1, 3), *size_that_holds(rng, kernel, dilation))
    options = {"kernel_size": kernel, "stride": some(rng, None, int_or_pair(rng, 1, 4)), "padding": padding}
    return {"x": x}, options | {"ceil_mode": bool(rng.integers(2))}


@case
def max_pool2d(rng):
    dilation = int_or_pair(rng, 1, 3)
    arrays, options = pool(rng, dilation)
    return arrays, options | {"dilation": dilation}


@case
def avg_pool2d(rng):
    arrays, options = pool(rng, 1)
    divisor = some(rng, None, integers(rng, 1, 7))
    return arrays, options | {"count_include_pad": bool(rng.integers(2)), "divisor_override": divisor}


@case
def adaptive_avg_pool2d(rng):
    x = normal(rng, *lead(rng), integers(rng, 1, 3), *integers(rng, 1, 9, 2))
    return {"x": x}, {"output_size": int_or_pair(rng, 1, 10)}


@case
def batch_norm(rng):
    training, C = bool(rng.integers(2)), integers(rng, 1, 4)
    rest = some(rng, (), (4,), (3, 5), (2, 3, 2))
    x = 3 * normal(rng, integers(rng, 0 if not training else 2, 4), C, *rest) + 2
    tracked = not training or bool(rng.integers(2))
    arrays = {
        "x": x,
        "weight": maybe(rng, C),
        "bias": maybe(rng, C),
        "running_mean": normal(rng, C) if tracked else None,
        "running_var": rng.uniform(0.3, 3, C) if tracked else None,
    }
    return arrays, {"training": training, "eps": some(rng, 1e-5, 1e-3, 0.5)}


@case
def batch_norm_running_stats(rng):
    C = integers(rng, 1, 4)
    x = 3 * normal(rng, integers(rng, 2, 4), C, *some(rng, (), (4,), (3, 5))) + 2
    arrays = {"x": x, "running_mean": normal(rng, C), "running_var": rng.uniform(0.3, 3, C)}
    return arrays, {"momentum": some(rng, 0.1, 0.3, 1.0, 0.0)}


@case
def group_norm(rng):
    num_groups = integers(rng, 1, 3)
    C = num_groups * integers(rng, 1, 3)
    x = 3 * normal(rng, integers(rng, 0, 3), C, *some(rng, (4,), (3, 5), (2, 3, 2))) + 2
    arrays = {"x": x, "weight": maybe(rng, C), "bias": maybe(rng, C)}
    return arrays, {"num_groups": num_groups, "eps": some(rng, 1e-5, 1e-3, 0.5)}


@case
def film(rng):
    n, C = lead(rng), integers(rng, 1, 4)
    arrays = {"x": normal(rng, *n, C, *integers(rng, 1, 5, 2)), "gamma": normal(rng, *n, C), "beta": normal(rng, *n, C)}
    return arrays, {"offset": some(rng, 0, 1)}


@case
def concat(rng):
    shape = (*lead(rng), *integers(rng, 1, 4, 3))
    axis = integers(rng, -len(shape), len(shape) - 1)
    arrays = []
    for _ in range(integers(rng, 1, 4)):
        sizes = list(shape)
        sizes[axis] = integers(rng, 0, 4)
        arrays.append(normal(rng, *sizes))
    return {"arrays": tuple(arrays)}, {"axis": axis}


@case
def linear(rng):
    (I, O), n = integers(rng, 1, 5, 2), some(rng, (), (3,), (2, 3), (0,))
    return {"x": normal(rng, *n, I), "weight": normal(rng, O, I), "bias": maybe(rng, O)}, {}


def image(rng, scale=2):
    return scale * normal(rng, *lead(rng), integers(rng, 1, 3), *integers(rng, 1, 6, 2))


@case
def relu(rng):
    return {"x": image(rng)}, {}


@case
def sigmoid(rng):
    return {"x": image(rng, some(rng, 1, 30, 800))}, {}


@case
def gelu(rng):
    return {"x": image(rng, some(rng, 1, 5, 30))}, {"approximate": some(rng, "none", "tanh")}


@case
def glu(rng):
    shape = [*lead(rng), *integers(rng, 1, 5, integers(rng, 1, 3))]
    axis = integers(rng, -len(shape), len(shape) - 1)
    shape[axis] = 2 * integers(rng, 1, 3)
    return {"x": normal(rng, *shape)}, {"axis": axis}


def upsample(rng):
    x = image(rng)
    x = x if x.ndim == 3 or len(x) else normal(rng, 2, *x.shape[1:])
    if rng.integers(2):
        return {"x": x}, {"size": int_or_pair(rng, 1, 13)}
    least = 1 / min(x.shape[-2:])
    factors = [f for f in (1, 2, 3, 0.5, 1.5, 2.5, 1.3, 0.75, 1 / 3) if f >= least]
    return {"x": x}, {"scale_factor": some(rng, some(rng, *factors), (some(rng, *factors), some(rng, *factors)))}


@case
def upsample_nearest2d(rng):
    return upsample(rng)


@case
def upsample_bilinear2d(rng):
    return upsample(rng)


@case
def center_crop2d(rng):
    x = image(rng)
    H, W = x.shape[-2:]
    return {"x": x}, {"size": some(rng, (integers(rng, 1, H), integers(rng, 1, W)), integers(rng, 1, min(H, W)))}


@case
def pad2d(rng):
    x, mode = image(rng), some(rng, "constant", "constant", "reflect", "replicate")
    H, W = x.shape[-2:]
    most = [n - 1 if mode == "reflect" else 4 for n in (H, W)]
    least = 0 if mode != "constant" else -((min(H, W) - 1) // 2)
    sides = tuple((integers(rng, least, m), integers(rng, least, m)) for m in most)
    padding = some(rng, sides, (sides[0][0], sides[1][0]), min(sides[0][0], sides[1][0]))
    return {"x": x}, {"padding": padding, "mode": mode} | ({"value": some(rng, 0, -1.5)} if mode == "constant" else {})


@case
def mse_loss(rng):
    x = image(rng)
    return {"x": x, "target": normal(rng, *x.shape)}, {}


@case
def binary_cross_entropy_with_logits(rng):
    x = image(rng, some(rng, 1, 30, 800))
    return {"x": x, "target": some(rng, rng.uniform(size=x.shape), rng.integers(0, 2, x.shape).astype(float))}, {}


@case
def cross_entropy(rng):
    N, C, *rest = integers(rng, 1, 3), integers(rng, 1, 5), *some(rng, (), (4,), (3, 5), (2, 3, 2))
    logits = some(rng, 1, 30, 800) * normal(rng, N, C, *rest)
    return {"x": logits, "target": rng.integers(0, C, (N, *rest))}, {}
