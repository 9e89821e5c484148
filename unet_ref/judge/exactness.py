"""Which results cannot be rounded: sums of multiples of one number that fit into the significand in any order.

Where every term of a sum is a multiple of ``unit``, so is every partial sum; and none is larger than the sum of absolute
values. If that is at most ``2^p`` units, with p the bits of the significand, nothing is rounded, whatever the order, with
or without fused multiply-add. A direct sum then has one right answer, and any other is a proven mistake.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, quiet
from ..ops import resize
from .mistake import Arguments, Results, right

BITS = {"e": 24, "f": 24, "d": 53}  # of the sums: float16 is summed in float32
COPIES = ("relu", "concat", "center_crop2d", "pad2d", "upsample_nearest2d", "max_pool2d")
NORMS = ("batch_norm", "group_norm", "batch_norm_running_stats")


def units(arguments: Arguments) -> dict[str, float]:
    """For each result whose sums are exact, the number that all its terms are multiples of."""
    name, arrays, _, upstream = arguments
    bits = BITS.get(_dtype(arrays).char)
    if bits is None:
        return {}
    dy = unit(upstream)
    with quiet():
        terms = _terms(arguments, {key: unit(value) for key, value in arrays.items()}, dy)
        magnitudes = _on_absolute_values(arguments).tensors() if terms else {}
    found = {}
    for tensor, magnitude in magnitudes.items():
        if magnitude is None:
            continue
        size = float(np.max(magnitude, initial=0.0))
        step = terms[tensor.split("[")[0]]
        if size <= 2.0**bits * step:
            found[tensor] = step
    if name in COPIES and "output" in terms:
        found["output"] = terms["output"]
    return found


def unrounded(arguments: Arguments) -> frozenset[str]:
    """The results that a direct computation gives exactly: those with a unit, and norms in which every step is exact."""
    found = set(units(arguments))
    if arguments.name in NORMS:
        single = arguments.map(lambda a: a.astype(np.float32) if a.dtype.char == "e" else a)
        narrow, precise = right(single).tensors(), right(wider(arguments)).tensors()
        found |= {name for name, array in narrow.items() if np.array_equal(array, precise[name])}
    return frozenset(found)


def unit(value: Any) -> float:
    """The largest power of two that every number in the array is a multiple of; infinite where all are 0."""
    if isinstance(value, tuple | list):
        return min((unit(item) for item in value), default=math.inf)
    if value is None or value.dtype.kind != "f":
        return math.inf
    numbers = np.asarray(value[np.isfinite(value) & (value != 0)], dtype=np.float64)
    if not numbers.size:
        return math.inf
    fractions, exponents = np.frexp(numbers)
    whole = (fractions * 2.0**53).astype(np.int64)
    return float(np.min(np.ldexp((whole & -whole).astype(np.float64), exponents - 53)))


def wider(arguments: Arguments) -> Arguments:
    """The same call in a precision whose rounding does not count: float64, and for float64 longdouble."""
    dtype = np.longdouble if _dtype(arguments.arrays).char in "dg" else np.float64
    return arguments.map(lambda array: array.astype(dtype))


def _dtype(arrays: dict[str, Any]) -> np.dtype[Any]:
    first = next(iter(arrays.values()))
    found: np.dtype[Any] = (first[0] if isinstance(first, tuple | list) else first).dtype
    return found


def _terms(arguments: Arguments, u: dict[str, float], dy: float) -> dict[str, float]:
    """For the output and each gradient, what all terms of its sums are multiples of; empty where that says nothing."""
    name, arrays, options, _ = arguments
    if name in ("conv2d", "conv_transpose2d", "linear"):
        x, w = u["x"], u["weight"]
        return {"output": min(x * w, u["bias"]), "x": dy * w, "weight": dy * x, "bias": dy}
    if name == "film":
        scale = min(u["gamma"], unit(np.asarray(float(options.get("offset", 1)))))
        return {"output": min(scale * u["x"], u["beta"]), "x": dy * scale, "gamma": dy * u["x"], "beta": dy}
    if name in COPIES:
        (first,) = arrays
        return {"output": u[first], first: dy}
    if name == "mse_loss" and _power_of_two(arrays["x"].size):
        step, M = min(u["x"], u["target"]), arrays["x"].size
        return {"output": step * step / M, "x": 2 * dy * step / M, "target": 2 * dy * step / M}
    share = _share(arguments)
    return {} if share is None else {"output": u["x"] * share, "x": dy * share}


def _share(arguments: Arguments) -> float | None:
    """The smallest weight of a mean, where all of them are powers of two or whole multiples of one."""
    name, arrays, options, _ = arguments
    if name == "avg_pool2d":
        ones = np.ones((1, *arrays["x"].shape[-2:]))
        counted = {**options, "divisor_override": 1}
        divisors = ops.avg_pool2d(ones, **counted) / ops.avg_pool2d(ones, **options)
    elif name == "adaptive_avg_pool2d":
        sizes = ops.adaptive_avg_pool2d_shape(arrays["x"].shape, **options)[-2:]
        rows, columns = (_spans(n, m) for n, m in zip(arrays["x"].shape[-2:], sizes, strict=True))
        divisors = rows[:, None] * columns
    elif name == "upsample_bilinear2d":
        both = resize.axes(name, arrays["x"].shape, options.get("size"), options.get("scale_factor"), (1,))
        divisors = np.array([2.0 * axis.ratio.denominator for axis in both])
        return 1 / float(np.prod(divisors)) if all(_power_of_two(int(d)) for d in divisors) else None
    else:
        return None
    whole = np.rint(np.abs(divisors)).astype(int)
    return 1 / float(whole.max(initial=1)) if all(_power_of_two(int(d)) for d in whole.flat) else None


def _spans(size: int, outputs: int) -> Array:
    return np.array([-(-(i + 1) * size // outputs) - i * size // outputs for i in range(outputs)], dtype=int)


def _power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def _on_absolute_values(arguments: Arguments) -> Results:
    """The sums of absolute values, in float64; what chooses (a mask, the largest pixel) chooses as it did."""
    absolute = arguments.map(lambda a: np.where(np.isfinite(a), np.abs(a.astype(np.float64)), 0))
    if arguments.name in COPIES:
        if absolute.grad_output is None:
            return Results(None, {})
        double = arguments.map(lambda a: a.astype(np.float64))._replace(grad_output=absolute.grad_output)
        return right(double)._replace(output=None)
    arrays, options = absolute.arrays, dict(arguments.options)
    if arguments.name == "mse_loss":
        arrays["target"] = -arrays["target"]
    if arguments.name == "film":
        options["offset"] = abs(float(options.get("offset", 1)))
    if options.get("divisor_override") is not None:
        options["divisor_override"] = abs(options["divisor_override"])
    results = right(absolute._replace(options=options))
    return Results(np.abs(results.output), {name: np.abs(grad) for name, grad in results.grads.items()})
