"""Error bounds of a mean and a variance of M values, and of 1 / sqrt(variance + eps).

With A the mean of |x|, V the variance and m the mean, dm and dV their errors:

    mean       dm = g(M + 1) A                         M - 1 additions, and 1/M may be a rounded factor
    variance   two-pass: the mean of (x - m')^2 is V + (m' - m)^2, so that
               dV = dm^2 + g(M + 4)(V + dm^2)          a difference, counted twice, a square, M - 1 additions, 1/M
               one-pass: the mean of x^2, g(M + 2) off, less m'^2, each rounded to its own size:
               dV = g(M + 3) E[x^2] + (2|m| dm + dm^2)(1 + 3u) + 2u m^2
    root       rho = (dV + 2u (V + eps)) / (V + eps);  t = (1 - rho)^(-1/2) (1 + 5u) - 1, none where rho >= 1

Welford's updates, value by value or merging parts, keep a mean of the first k values, off by no more than
``e = g(M + 4 log2 M + 8) max|x|``. Their squares are products of two deviations from such means. By Cauchy and Schwarz,
the M values moved by e change V by ``2 sqrt(V) e`` or so; with log2 M levels of merging

    dV = c e sqrt(V) + c^2 e^2 + g(M + 5)(V + c^2 e^2)    with  c = 4 sqrt(1 + log2 M)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...backend import Array
from .profiles import Profile
from .rounded import Axes, Rounded

ROOT = 5  # a root and a division, or a hardware's reciprocal root, right to 2 ulp


def moments(profile: Profile, x: Array, axes: Axes) -> tuple[Rounded, Rounded]:
    """The mean and the biased variance, as the profile's kind of variance has them."""
    M = max(math.prod(x.shape[axis] for axis in axes), 1)
    steps = M + 1 if profile.variance != "welford" else M + 4 * math.log2(M) + 8

    def mean_of(values: Array) -> Array:
        return values.sum(axis=axes, keepdims=True) / x.dtype.type(M)

    m = mean_of(x)
    m = m + mean_of(x - m)
    mean = Rounded(profile, m, profile.gamma(steps) * mean_of(np.abs(x)) + profile.tiny)
    V, dm = mean_of((x - m) ** 2), mean.error
    if profile.variance == "two-pass":
        dV = dm**2 + profile.gamma(M + 4) * (V + dm**2)
    elif profile.variance == "welford":
        e = profile.gamma(steps) * np.abs(x).max(axis=axes, keepdims=True, initial=0)
        c = 4 * math.sqrt(1 + math.log2(M))
        dV = c * e * np.sqrt(V) + (c * e) ** 2 + profile.gamma(M + 5) * (V + (c * e) ** 2)
    else:
        u = profile.u_acc
        dV = profile.gamma(M + 3) * mean_of(x * x) + (2 * np.abs(m) * dm + dm**2) * (1 + 3 * u) + 2 * u * m**2
    too_large = mean_of(x * x) * M > profile.largest
    return mean, Rounded(profile, V, np.where(too_large, np.inf, dV + M * profile.tiny))


def reciprocal_root(profile: Profile, variance: Rounded, eps: Any) -> Rounded:
    """``1 / sqrt(variance + eps)``; a rounded eps counts."""
    W = variance.value + variance.value.dtype.type(eps)
    rho = (variance.error + 2 * profile.u_acc * (W + variance.error)) / W
    rho = np.where(rho < 1, rho, 1)  # NaN too: 0 / 0 where both are 0
    t = np.expm1(-np.log1p(-rho) / 2) * (1 + profile.gamma(ROOT)) + profile.gamma(ROOT)
    return Rounded(profile, 1 / np.sqrt(W), t / np.sqrt(W))
