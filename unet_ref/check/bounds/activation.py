"""Error bounds of activations and gates, from the formulas that implementations use.

A library's exp, log, tanh or erf is right to 4 ulp, which is a relative error of up to 8u.
"""

from __future__ import annotations

import numpy as np

from ... import ops
from ...backend import Array
from ...ops.axis import normal_axis, stretch
from ...ops.normal import distribution
from .family import Errors, Given
from .profiles import Profile
from .rounded import Rounded, constant, exp, tanh

LOGISTIC = 4  # 1 + e, its reciprocal, e / (1 + e), and one to spare
SLOPE = 24.0  # e / (1 + e)^2 and its like, with the errors of two exps


def sigmoid(given: Given) -> Errors:
    """``1 / (1 + exp(-x))``, ``exp(x) / (1 + exp(x))``; backward also ``y (1 - y)``."""
    x, dy = given.arrays["x"], given.grad_output
    return Errors(
        lambda profile: logistic(profile, x).stored(),
        {"x": lambda profile: (logistic_slope(profile, x) * dy).stored()} if given.grads else {},
    )


def glu(given: Given) -> Errors:
    """The value times the sigmoid of the gate."""
    x, dy = given.arrays["x"], given.grad_output
    at = normal_axis("glu", given.options.get("axis", -1), x.shape)
    K = x.shape[at] // 2
    value, gate = x[stretch(at, 0, K)], x[stretch(at, K, 2 * K)]

    def gradient(profile: Profile) -> Array:
        halves = logistic(profile, gate) * dy, logistic_slope(profile, gate) * value * dy
        return np.concatenate([half.stored() for half in halves], axis=at)

    return Errors(lambda profile: (logistic(profile, gate) * value).stored(), {"x": gradient} if given.grads else {})


def logistic(profile: Profile, x: Array) -> Rounded:
    """The exp's relative error counts ``1 - s`` times. Where ``exp(-x)`` overflows, s may become 0."""
    s = ops.sigmoid(x)
    error = s * ((1 - s) * profile.gamma(profile.function) + profile.gamma(LOGISTIC))
    return Rounded(profile, s, error + profile.tiny + 2 / profile.largest + profile.floor * profile.u_acc)


def logistic_slope(profile: Profile, x: Array) -> Rounded:
    """``s (1 - s)``: from s itself, where s is near 1, it keeps only the digits that ``1 - s`` has."""
    s, away = logistic(profile, x), ops.sigmoid(-x)
    difference = Rounded(profile, away, s.error).after(1)
    product = s * difference
    return product.widened(profile.gamma(SLOPE) * np.abs(product.value))


def gelu(given: Given) -> Errors:
    """Both formulas: left of 0 ``1 + erf`` and ``1 + tanh`` have far fewer digits than y should have."""
    x, dy, normal = given.arrays["x"], given.grad_output, given.options.get("approximate", "none") == "none"
    value, slope = (gate_erf, slope_erf) if normal else (gate_tanh, slope_tanh)
    return Errors(
        lambda profile: (value(profile, x) * x).after(1).stored(),
        {"x": lambda profile: (slope(profile, x) * dy).after(2).stored()} if given.grads else {},
    )


def gate_erf(profile: Profile, x: Array) -> Rounded:
    """``Phi(x) = (1 + erf(x / sqrt(2))) / 2``, or ``erfc(-x / sqrt(2)) / 2``, which is as large as 1 + |erf|."""
    s = constant(profile, 1 / np.sqrt(x.dtype.type(2))) * x
    nearest = np.maximum(np.abs(s.value) - 2 * s.error, 0)
    exact = 2 * distribution(np.atleast_1d(x)).reshape(x.shape) - 1
    erf = s.function(lambda _: exact, 1.13 * np.exp(-(nearest**2)), floor=1.0)  # 2 / sqrt(pi) = 1.128
    gate: Rounded = (erf + 1) * x.dtype.type(0.5)
    return gate


def slope_erf(profile: Profile, x: Array) -> Rounded:
    """``Phi(x) + x phi(x)``, the exponent as ``x^2 / 2`` or as the square of ``x / sqrt(2)``."""
    exponent = Rounded(profile, -x * x / 2).after(5)
    density = exp(exponent) * constant(profile, 1 / np.sqrt(2 * x.dtype.type(np.pi)))
    slope: Rounded = gate_erf(profile, x) + density * x
    return slope


def _inner(profile: Profile, x: Array) -> Rounded:
    """``sqrt(2/pi) (x + 0.044715 x^3)``, in any association."""
    c, k = x.dtype.type(np.sqrt(2 / np.pi)), x.dtype.type(0.044715)
    of_constants = profile.u_const * np.abs(c * x) * (1 + 2 * k * x * x)  # c k may be one of them
    return Rounded(profile, c * (x + k * x * x * x), of_constants).after(8)


def gate_tanh(profile: Profile, x: Array) -> Rounded:
    """``(1 + tanh(u)) / 2``, or ``sigmoid(2u)``."""
    gate: Rounded = (tanh(_inner(profile, x), floor=1.0) + 1) * x.dtype.type(0.5)
    return gate


def slope_tanh(profile: Profile, x: Array) -> Rounded:
    """``(1 + t) / 2 + x (1 - t^2) / 2 * sqrt(2/pi) (1 + 3 * 0.044715 x^2)``."""
    t = tanh(_inner(profile, x))
    bell = 1 - t * t
    bell = bell.widened(profile.gamma(SLOPE) * np.abs(bell.value))
    c, k = x.dtype.type(np.sqrt(2 / np.pi)), x.dtype.type(0.044715)
    inner_slope = Rounded(profile, c * (1 + 3 * k * x * x), profile.u_const * c * (1 + 6 * k * x * x)).after(8)
    slope: Rounded = gate_tanh(profile, x) + (bell * inner_slope) * (x / 2)
    return slope
