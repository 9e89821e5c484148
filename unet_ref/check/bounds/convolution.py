"""Error bounds of convolutions and of the linear layer: sums of products, in any order.

    |fl(sum of K products) - sum| <= K u * (the same sum of absolute values)      Jeannerod and Rump 2013

A bias is one more term. Where the factors are rounded first, each product is off by (1 + u_in)^2 - 1 too. K is the number
of products that an element has: less than C/G * KH * KW at the border, where taps see padding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...backend import Array
from .family import Error, Errors, Given, backward
from .profiles import Profile


def convolution(given: Given) -> Errors:
    """``conv2d`` and ``conv_transpose2d``, which is the adjoint of the former and has the same sums."""
    x, weight, y, groups = given.arrays["x"], given.arrays["weight"], given.y, given.options.get("groups", 1)
    channels, outputs, samples = x.shape[-3] // groups, y.shape[-3] // groups, math.prod(x.shape[:-3])
    options = {key: value for key, value in given.options.items() if key != "groups"}
    one = {"x": np.ones((1, *x.shape[-2:])), "weight": np.ones((1, 1, *weight.shape[-2:]))}
    # of one channel: how many pixels each output sees, and how many outputs see each pixel and each tap
    seen = getattr(ops, given.name)(**one, **options)
    seeing = backward(given.name, np.ones(seen.shape), one, options)
    terms_of = {"x": outputs * seeing["x"], "weight": samples * seeing["weight"], "bias": samples * seen.size}
    return _bilinear(given, channels * seen, terms_of)


def linear(given: Given) -> Errors:
    """Every sum has as many products as there are inputs, outputs or samples."""
    weight, samples = given.arrays["weight"], math.prod(given.arrays["x"].shape[:-1])
    return _bilinear(given, weight.shape[1], {"x": weight.shape[0], "weight": samples, "bias": samples})


def _bilinear(given: Given, terms: Any, terms_of: dict[str, Any]) -> Errors:
    magnitude, magnitudes = given.magnitude(), given.magnitudes()
    bias = given.arrays.get("bias")

    def output(profile: Profile) -> Array:
        error = profile.products(magnitude, terms + (bias is not None), factors=2)
        if (
            bias is not None and profile.u_out > profile.u_acc
        ):  # the bias may be added to a result that is stored already
            error = error + profile.u_out * (magnitude + 2 * error) + profile.tiny_out
        return profile.stored(given.y, error)

    def gradient(name: str) -> Error:
        factors = 0 if name == "bias" else 2
        return lambda profile: profile.stored(
            given.grads[name], profile.products(magnitudes[name], terms_of[name], factors=factors)
        )

    return Errors(output, {name: gradient(name) for name, grad in given.grads.items() if grad is not None})
