"""Error bounds where numbers are only moved, or the first of several equal ones is chosen: none, the same bits.

Where a gradient collects several numbers (overlapping windows, copies of a pixel), n numbers are n - 1 additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...backend import Array
from .family import Choice, Error, Errors, Given, backward, copied
from .profiles import Profile


def concat(given: Given) -> Errors:
    """Nothing is computed, in either direction."""
    parts = given.grads.get("arrays", ())

    def grads(profile: Profile) -> tuple[Array, ...]:
        return tuple(profile.copied(part) for part in parts)

    return Errors(copied(given.y), {"arrays": grads} if parts else {})


def relu(given: Given) -> Errors:
    """At ``x = 0`` any slope from 0 to 1 is a right one."""
    if not given.grads:
        return Errors(copied(given.y))
    allowance = np.where(given.arrays["x"] == 0, np.abs(given.grad_output), 0)
    rule = "the slope at x = 0 is 0; any from 0 to 1 is a subgradient"
    return Errors(copied(given.y), {"x": copied(given.y)}, {"x": Choice(allowance, rule)})


def center_crop2d(given: Given) -> Errors:
    """Nothing is computed, in either direction."""
    return Errors(copied(given.y), {name: copied(grad) for name, grad in given.grads.items()})


def pad2d(given: Given) -> Errors:
    """A ``value`` is rounded to the dtype; reflected and replicated pixels collect a gradient from each image."""
    border = np.abs(ops.pad2d(np.zeros(given.arrays["x"].shape), **given.options))

    def output(profile: Profile) -> Array:
        return np.where((border > 0) & np.isfinite(border), profile.u_out * border + profile.tiny_out, 0)

    return Errors(output, collected(given))


def collected(given: Given) -> dict[str, Error]:
    """The gradient of x where each element is a sum of elements of ``grad_output``: counted by the same on ones."""
    if not given.grads:
        return {}
    ones = np.ones(np.shape(given.y))
    arrays = {"x": given.arrays["x"].astype(np.float64)}
    count = backward(given.name, ones, arrays, given.options)["x"]
    magnitude = backward(given.name, np.abs(given.grad_output).astype(np.float64), arrays, given.options)["x"]
    return {"x": lambda profile: summed(profile, given.grads["x"], magnitude, count)}


def summed(profile: Profile, value: Any, magnitude: Any, count: Any) -> Any:
    """The error of a sum of ``count`` numbers; of one there is none."""
    error = profile.stored(value, profile.products(magnitude, np.maximum(count - 1, 0)))
    return np.where(count > 1, error, 0)
