"""Error bounds of the normalizations and of FiLM: short formulas, whose errors ``Rounded`` carries.

PyTorch and most inference engines fold ``weight * (x - m) * r + bias`` into ``a x + b`` with ``a = weight r`` and ``b
= bias - a m``, and the backward pass likewise, with the sums of ``dy`` and of ``dy x`` in place of that of ``dy
xhat``. Where the mean is large that rounds more, by a few ``u |a| (|x| + |m|)``, and is right all the same: it is
part of the bounds.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ...backend import Array
from ...ops.normalize import BATCH, GROUP, by_channel
from ...ops.tiles import rows
from ...spec.batch_norm_running_stats import BatchNormRunningStats
from .family import Error, Errors, Given, absolute
from .moments import moments, reciprocal_root
from .profiles import Profile
from .rounded import Axes, Rounded

FOLDED = 6  # roundings of the terms of a x + b, none of them larger than |a| (|x| + |m|) or |b|
ASSOCIATED = 6  # roundings of a term of dx, in whatever order its factors are multiplied
PIXELS: Axes = (0, 3)


def batch_norm(given: Given) -> Errors:
    """The statistics are those of the batch, or given ones."""
    frozen = None if given.options["training"] else (given.arrays["running_mean"], given.arrays["running_var"])
    return _norm(given, BATCH, 0, frozen)


def group_norm(given: Given) -> Errors:
    """The statistics are those of a group of channels of a sample."""
    return _norm(given, GROUP, given.options["num_groups"], None)


def _norm(given: Given, axes: Axes, groups: int, frozen: tuple[Array, Array] | None) -> Errors:
    x = rows(given.arrays["x"], 2, groups)
    w, b = (by_channel(x, given.arrays.get(name)) for name in ("weight", "bias"))
    eps, shape = given.options.get("eps", 1e-5), given.y.shape

    def standardised(profile: Profile) -> Standardised:
        if frozen is None:
            mean, variance = moments(profile, x, axes)
        else:
            mean, variance = (Rounded(profile, vector.reshape(1, -1, 1, 1)) for vector in frozen)
        mean, root = mean.kept(), reciprocal_root(profile, variance, eps).kept()
        return Standardised((x - mean) * root, root, np.abs(x) + mean.size)

    def output(profile: Profile) -> Array:
        xhat, root, extent = standardised(profile)
        y = xhat * (1 if w is None else w) + (0 if b is None else b)
        size = root.size * extent * (1 if w is None else np.abs(w)) + (0 if b is None else np.abs(b))
        return y.widened(profile.gamma(FOLDED) * size).stored().reshape(shape)

    @functools.cache
    def gradients(profile: Profile) -> dict[str, Array]:
        dy = rows(given.grad_output, 2, groups)
        parts = _gradients(standardised(profile), dy, 1 if w is None else w, axes if frozen is None else None)
        return {
            name: part.stored().reshape(given.arrays[name].shape) for name, part in parts.items() if name in present
        }

    present = [name for name, grad in given.grads.items() if grad is not None]

    def gradient(name: str) -> Error:
        return lambda profile: gradients(profile)[name]

    return Errors(output, {name: gradient(name) for name in present})


class Standardised(NamedTuple):
    """``xhat = (x - mean) * root``, and ``|x| + |mean|``, which is how large its folded terms are."""

    xhat: Rounded
    root: Rounded
    extent: Array


def _gradients(s: Standardised, dy: Array, w: Any, axes: Axes | None) -> dict[str, Rounded]:
    """``dx = root (w dy - S1 / M - xhat S2 / M)``; without ``axes`` mean and root are constants: S1 = S2 = 0."""
    profile = s.root.profile
    upstream = Rounded(profile, dy)
    found = {"weight": _products(s, upstream, PIXELS), "bias": upstream.sum(PIXELS)}
    if axes is None:
        return {"x": (upstream * w * s.root).after(1), **found}
    M = max(int(np.prod([dy.shape[axis] for axis in axes])), 1)
    share = Rounded(profile, dy.dtype.type(1) / M).after(1)
    wdy = upstream * w
    first, second = wdy.sum(axes) * share, _products(s, wdy, axes) * share
    terms = wdy.size + first.size + s.xhat.size * second.size
    dx = (wdy - first - s.xhat * second) * s.root
    # folded: c1 dy + c2 x + c3 with c2 = -root^2 S2 / M and c3 = -c2 m - root S1 / M
    folded = s.root.size**2 * second.size * s.extent
    return {"x": dx.widened(profile.gamma(ASSOCIATED) * (terms * s.root.size + folded)), **found}


def _products(s: Standardised, upstream: Rounded, axes: Axes) -> Rounded:
    """The sum of ``upstream * xhat``; folded it is ``root * (sum of upstream x - m * sum of upstream)``."""
    total = (upstream * s.xhat).sum(axes)
    folded = (upstream.size * s.root.size * s.extent).sum(axis=axes, keepdims=True)
    terms = int(np.prod([s.extent.shape[axis] for axis in axes]))
    return total.widened(upstream.profile.gamma(terms + FOLDED) * folded)


def batch_norm_running_stats(given: Given) -> Errors:
    """``(1 - momentum) old + momentum new``, or ``old + momentum (new - old)``; the variance's ``M / (M - 1)``."""
    x, momentum = rows(given.arrays["x"], 2), abs(given.options.get("momentum", 0.1))
    old = [absolute(given.arrays[name]) for name in ("running_mean", "running_var")]
    M = x.size // max(x.shape[1], 1)

    def output(profile: Profile) -> BatchNormRunningStats:
        mean, variance = moments(profile, x, BATCH)
        unbiased = Rounded(profile, *(part * M / max(M - 1, 1) for part in (variance.value, variance.error))).after(3)
        errors = [_mixed(batch, before, momentum) for batch, before in zip((mean, unbiased), old, strict=True)]
        kept = [profile.stored(v, e) for v, e in zip(given.y, errors, strict=True)]
        return BatchNormRunningStats(*(kept if M else [profile.copied(v) for v in given.y]))

    return Errors(output)


def _mixed(batch: Rounded, old: Array, momentum: float) -> Array:
    new, error = batch.size.ravel(), batch.error.ravel()
    profile = batch.profile
    return momentum * error + profile.gamma(5) * ((1 + momentum) * old + momentum * new) + 2 * profile.tiny


def film(given: Given) -> Errors:
    """``(offset + gamma) x + beta``, or ``x + gamma x + beta``: the terms' sizes count, not those of their sums."""
    offset = abs(given.options.get("offset", 1))
    arrays = absolute(given.arrays)
    at_least = Given(given.name, arrays, {"offset": offset}, absolute(given.grad_output), None, {})
    magnitude, magnitudes = at_least.magnitude(), at_least.magnitudes()
    pixels = given.y.size // max(given.arrays["gamma"].size, 1)
    terms = {"x": 4, "gamma": pixels, "beta": pixels}

    def gradient(name: str) -> Error:
        return lambda profile: profile.stored(given.grads[name], profile.products(magnitudes[name], terms[name]))

    return Errors(
        lambda profile: profile.stored(given.y, profile.products(magnitude, 5)), {k: gradient(k) for k in given.grads}
    )
