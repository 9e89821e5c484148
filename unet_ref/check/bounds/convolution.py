"""Error bounds of convolutions and of the linear layer: sums of products, in any order.

    |fl(sum of K products) - sum| <= K u * (the same sum of absolute values)      Jeannerod and Rump 2013

A bias is one more term. Where the factors are rounded first, each product is off by (1 + u_in)^2 - 1 too. K is the
number of products that an element has: less than C/G * KH * KW at the border, where taps see padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ...backend import Array
from ...ops.window import Pads, pads, pair
from .family import Error, Errors, Given, absolute, backward
from .profiles import Profile
from .winograd import tiled, tiled_input, tiled_weight

Tiled = Callable[[int], tuple[Array, int]]  # m -> magnitude, roundings


def conv2d(given: Given) -> Errors:
    """Direct sums, or Winograd's algorithm where it applies."""
    options = given.options
    x, weight, dy = absolute((given.arrays["x"], given.arrays["weight"], given.grad_output))
    sides, groups = _sides(given), options.get("groups", 1)
    ones = [pair("conv2d", name, options.get(name, 1)) for name in ("stride", "dilation")]
    if weight.shape[2:] != (3, 3) or ones != [(1, 1), (1, 1)]:
        return _convolution(given, {})
    return _convolution(
        given,
        {
            "output": lambda m: tiled(m, x, weight, sides, groups),
            "x": lambda m: tiled_input(m, dy, weight, sides, groups),
            "weight": lambda m: tiled_weight(m, dy, x, sides, groups),
        },
    )


def _sides(given: Given) -> Pads:
    """The padding; of ``"same"`` that of a 3x3 kernel."""
    padding = given.options.get("padding", 0)
    return pads("conv2d", {"same": 1, "valid": 0}[padding] if isinstance(padding, str) else padding)


def conv_transpose2d(given: Given) -> Errors:
    """Direct sums: those of the convolution that it is the adjoint of."""
    return _convolution(given, {})


def _convolution(given: Given, winograd: dict[str, Tiled]) -> Errors:
    x, weight, y, groups = given.arrays["x"], given.arrays["weight"], given.y, given.options.get("groups", 1)
    channels, outputs, samples = x.shape[-3] // groups, y.shape[-3] // groups, math.prod(x.shape[:-3])
    options = {key: value for key, value in given.options.items() if key != "groups"}
    one = {"x": np.ones((1, *x.shape[-2:])), "weight": np.ones((1, 1, *weight.shape[-2:]))}
    # of one channel: how many pixels each output sees, and how many outputs see each pixel and each tap
    seen = getattr(ops, given.name)(**one, **options)
    seeing = backward(given.name, np.ones(seen.shape), one, options)
    terms_of = {
        "output": channels * seen,
        "x": outputs * seeing["x"],
        "weight": samples * seeing["weight"],
        "bias": max(samples * seen.size - 1, 0),  # additions alone
    }
    return _bilinear(given, terms_of, winograd)


def linear(given: Given) -> Errors:
    """Every sum has as many products as there are inputs, outputs or samples."""
    (outputs, inputs), samples = given.arrays["weight"].shape, math.prod(given.arrays["x"].shape[:-1])
    return _bilinear(given, {"output": inputs, "x": outputs, "weight": samples, "bias": max(samples - 1, 0)}, {})


def _bilinear(given: Given, terms: dict[str, Any], winograd: dict[str, Tiled]) -> Errors:
    magnitudes = {"output": given.magnitude(), **given.magnitudes()}
    bias = absolute(given.arrays.get("bias"))

    def error(profile: Profile, name: str, more: int = 0) -> Array:
        factors = 0 if name == "bias" else 2
        direct = profile.products(magnitudes[name], terms[name] + more, factors=factors)
        if profile.winograd is None or name not in winograd:
            return direct
        magnitude, roundings = winograd[name](profile.winograd)
        if more:
            magnitude = magnitude + bias[:, None, None]
        return np.maximum(direct, profile.products(magnitude, roundings + more, factors=factors))

    def output(profile: Profile) -> Array:
        total = error(profile, "output", more=bias is not None)
        if (
            bias is not None and profile.u_out > profile.u_acc
        ):  # the bias may be added to a result that is stored already
            total = total + profile.u_out * (magnitudes["output"] + 2 * total) + profile.tiny_out
        return profile.stored(given.y, total)

    def gradient(name: str) -> Error:
        return lambda profile: profile.stored(given.grads[name], error(profile, name))

    return Errors(output, {name: gradient(name) for name, grad in given.grads.items() if grad is not None})
