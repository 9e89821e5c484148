"""Error bounds of the losses: the errors of the terms, and ``g(M + 1)`` times the mean of their sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import Array
from ...ops import sigmoid
from .activation import logistic
from .family import Errors, Given
from .profiles import Profile
from .rounded import Rounded, exp, log

ASSOCIATED = 4  # roundings of a product of a few factors, in whatever order


def mse_loss(given: Given) -> Errors:
    """``(x - t)^2``; backward ``2 (x - t) dy / M``."""
    x, t, dy = given.arrays["x"], given.arrays["target"], given.grad_output

    def difference(profile: Profile) -> Rounded:
        return Rounded(profile, x).__sub__(t)

    def gradient(profile: Profile) -> Array:
        return (difference(profile) * 2 * _share(profile, dy, x.size)).after(ASSOCIATED).stored()

    return Errors(
        lambda profile: _mean(difference(profile) * difference(profile)).stored(),
        dict.fromkeys(given.grads, gradient),
    )


def binary_cross_entropy_with_logits(given: Given) -> Errors:
    """``(1 - t) x + max(-x, 0) + log(1 + exp(-|x|))``, or ``max(x, 0) - t x + ...``; backward ``(s - t) dy / M``.

    Or ``t p(-x) + (1 - t) p(x)`` with ``p = log(1 + exp(.)) = max(., 0) + soft``, which JAX differentiates: its slope
    ``exp(x - p(x))`` has an exponent as rounded as its terms, and the gradient of t is the difference of two p.
    """
    x, t, dy = given.arrays["x"], given.arrays["target"], given.grad_output
    e, both = np.exp(-np.abs(x)), np.abs(t) + np.abs(1 - t)
    soft = np.log1p(e)

    def of_soft(profile: Profile) -> Array:
        """``log1p(e)``, or the log of a rounded 1 + e."""
        return profile.gamma(profile.function) * (soft + e) + profile.gamma(2) * (e > profile.u_acc / 2)

    def loss(profile: Profile) -> Array:
        linear = np.abs(x) * (2 + np.abs(t)) + soft * both
        error = of_soft(profile) * both + profile.gamma(4) * linear
        terms = Rounded(profile, (1 - t) * x + np.maximum(-x, 0) + soft, error)
        return _mean(terms.widened(2 * profile.tiny)).stored()

    def of_x(profile: Profile) -> Array:
        s, away = sigmoid(x), sigmoid(-x)
        exponent = of_soft(profile) + profile.gamma(2) * (np.abs(x) + soft)
        slopes = (np.abs(t) * away + np.abs(1 - t) * s) * (np.expm1(exponent) + profile.gamma(profile.function + 3))
        slope = (logistic(profile, x) - t).widened(slopes)
        return (slope * _share(profile, dy, x.size)).after(ASSOCIATED).stored()

    def of_target(profile: Profile) -> Array:
        difference = Rounded(profile, x).widened(2 * of_soft(profile) + profile.gamma(2) * (np.abs(x) + 2 * soft))
        return (difference * _share(profile, dy, x.size)).after(ASSOCIATED).stored()

    return Errors(loss, {"x": of_x, "target": of_target} if given.grads else {})


def cross_entropy(given: Given) -> Errors:
    """``log(sum of exp(x - max)) - (x_t - max)``, or ``max + log(...) - x_t``; ``(softmax - [c = t]) dy / M``."""
    x, target, dy = given.arrays["x"], given.arrays["target"], given.grad_output
    logits, t = (x, target) if x.ndim > 1 else (x[None], target[None])
    largest = logits.max(axis=1, keepdims=True)
    chosen = np.arange(logits.shape[1]).reshape(1, -1, *(1 for _ in logits.shape[2:])) == t[:, None]

    def parts(profile: Profile) -> tuple[Rounded, Rounded, Rounded]:
        z = Rounded(profile, logits) - largest
        powers = exp(z)
        return z, powers, powers.sum((1,))

    def loss(profile: Profile) -> Array:
        z, _, total = parts(profile)
        mine = Rounded(profile, *(np.where(chosen, a, 0).sum(axis=1, keepdims=True) for a in (z.value, z.error)))
        return _mean((log(total) - mine).widened(profile.gamma(3) * np.abs(largest)).kept()).stored()

    def gradient(profile: Profile) -> Array:
        z, powers, total = parts(profile)
        by_division = powers / total
        # PyTorch keeps log(softmax); others subtract max + log(total), which the max rounds
        by_difference = exp((z - log(total)).widened(profile.gamma(3) * np.abs(largest)).kept())
        softmax = by_division.widened(by_difference.error)
        slopes = (softmax - chosen.astype(x.dtype)) * _share(profile, dy, target.size)
        return slopes.after(ASSOCIATED).stored().reshape(x.shape)

    return Errors(loss, {"x": gradient} if given.grads else {})


def _mean(terms: Rounded) -> Rounded:
    """A 0-d mean of all terms: M - 1 additions, and 1/M may be a rounded factor."""
    M = max(terms.value.size, 1)
    total = terms.sum(tuple(range(terms.value.ndim)), keepdims=False)
    return Rounded(terms.profile, total.value / M, total.error / M).widened(
        terms.profile.gamma(2) * (np.abs(terms.value).sum() / M + 2 * total.error / M)
    )


def _share(profile: Profile, dy: Any, count: int) -> Rounded:
    return Rounded(profile, dy / max(count, 1)).after(2)
