"""Kinds of arithmetic that a right implementation may use: how inputs, sums and outputs are rounded.

``u`` is the unit roundoff, half the distance from 1 to the next number: ``|fl(a) - a| <= u |a|``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import DTypeError

U64, U32, U16, UB16 = 2.0**-53, 2.0**-24, 2.0**-11, 2.0**-8


@dataclass(frozen=True)
class Profile:
    """One kind of arithmetic.

    Attributes
    ----------
        name, title: how to ask for it, and what to call it.
        dtype: of the arrays that an implementation gets and gives; NumPy has no ``bfloat16``, any wider one holds it.
        u_in: how the factors of convolutions and linear layers are rounded before they are multiplied.
        u_acc: how products, sums and functions are rounded.
        u_out: how results are stored; where that is no coarser than ``u_acc``, storing changes nothing.
        tiny: what underflow may take off a product: the smallest normal number, since hardware may flush what is
            smaller to zero; in float16, where none does, the smallest number.
        tiny_out: half the smallest number that ``dtype`` holds.
        largest: beyond it sums, or results, become infinite.
        steps: roundings for each addition (2 in tensor cores, which align and truncate what they add up).
        function: relative error of exp, log, tanh and erf, in ``u_acc``. 4 ulp are 8: an ulp is up to 2u of a number.
        floor: the absolute error of sigmoid beyond its relative one, in ``u_acc``.
        u_kept: how intermediate results are rounded that are stored to be used again: the statistics of norms, the
            logarithm of a softmax.
        u_const: how the constants of a formula are rounded, where that is coarser than ``u_acc``.
        winograd: m of F(m x m, 3 x 3), for 3x3 convolutions with stride and dilation 1.
        variance: ``"two-pass"`` (mean of squared deviations), ``"welford"`` (updated value by value) or
            ``"one-pass"`` (mean square minus squared mean).
    """

    name: str
    title: str
    dtype: str
    u_in: float
    u_acc: float
    u_out: float
    tiny: float
    tiny_out: float
    largest: float
    steps: int = 1
    function: float = 8.0
    floor: float = 0.0
    u_kept: float = 0.0
    u_const: float = 0.0
    winograd: int | None = None
    variance: str = "two-pass"

    @property
    def work(self) -> Any:
        """The dtype of the values that bounds are computed from, and of the reference: more precise than ``u_acc``."""
        return np.longdouble if self.u_acc <= U64 else np.float64

    @property
    def reference(self) -> Profile:
        """How the reference to compare with was computed: its own error is part of every bound."""
        return LONGDOUBLE if self.u_acc <= U64 else PROFILES["float64"]

    def gamma(self, n: Any) -> Any:
        """``n u / (1 - n u)``: the relative error of ``n`` roundings in a row; infinite where ``n u >= 1``."""
        nu = np.asarray(n, dtype=np.float64) * (self.steps * self.u_acc)
        return np.where(nu < 1, nu / np.where(nu < 1, 1 - nu, 1), np.inf)

    def products(self, magnitude: Any, terms: Any, *, factors: int = 0) -> Any:
        """Error of a sum of ``terms`` products, in any order, with or without FMA; ``magnitude`` is that of absolutes.

        ``factors``: how many of each product's factors the profile rounds first. ``magnitude`` comes from float64
        sums, which may have rounded it down.
        """
        first = self.u_in * factors * (1 + self.u_in)  # (1 + u_in)^2 - 1 is 2 u_in + u_in^2
        relative = self.gamma(terms) * (1 + first) + first
        safe = 1 + (np.asarray(terms) + 8.0) * 2 * U64
        error = relative * magnitude * safe + np.where(magnitude > 0, terms * self.tiny, 0)
        return np.where(magnitude > self.largest, np.inf, error)

    def stored(self, value: Any, error: Any) -> Any:
        """``error`` and what storing the result adds to it."""
        size = np.abs(value) + error
        if self.u_out > self.u_acc:
            error = error + np.where(size > 0, self.u_out * (size + error) + self.tiny_out, 0)
        return np.where(size > self.largest, np.inf, error)

    def copied(self, value: Any) -> Any:
        """The error of a number that the profile's dtype holds: none."""
        return np.zeros(np.shape(value))


def profile_of(profile: str | Profile) -> Profile:
    """A profile by its name."""
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise DTypeError(f"error_bound: profile ({profile!r}) must be one of {', '.join(PROFILES)}")
    return PROFILES[profile]


def _ieee(name: str, dtype: Any, u: float, **other: Any) -> Profile:
    info = np.finfo(dtype)
    convert: Any = np.longdouble if dtype is np.longdouble else float  # which does not hold the largest longdoubles
    half_step, tiny, largest = convert(info.smallest_subnormal) / 2, convert(info.smallest_normal), convert(info.max)
    return Profile(name, name, name, 0.0, u, u, tiny, half_step, largest, **other)


# The longdouble of some platforms is no more than a float64. Its functions are the package's own series.
LONGDOUBLE = _ieee("longdouble", np.longdouble, float(np.finfo(np.longdouble).eps) / 2, function=64.0)
FLOAT64 = _ieee("float64", np.float64, U64)
FLOAT32 = _ieee("float32", np.float32, U32)
FLOAT16 = replace(_ieee("float16", np.float16, U16), tiny=2.0**-24)
TENSOR: dict[str, Any] = {"u_acc": 2.0**-23, "steps": 2}  # Fasi et al. 2021: tensor cores truncate
STORED16 = replace(FLOAT16, tiny=FLOAT32.tiny, **TENSOR)
BFLOAT16: dict[str, Any] = {"dtype": "bfloat16", "u_out": UB16, "tiny_out": 2.0**-134}
STOREDB16 = replace(FLOAT32, name="bfloat16", title="bfloat16", **BFLOAT16, **TENSOR)

PROFILES = {
    profile.name: profile
    for profile in (
        FLOAT64,
        FLOAT32,
        STORED16,
        STOREDB16,
        *(
            replace(
                kind,
                name=f"{kind.name}-kept",
                title=f"{kind.name}, intermediate results stored in it",
                u_kept=kind.u_out,
            )
            for kind in (STORED16, STOREDB16)
        ),
        replace(FLOAT16, name="float16-accumulate", title="float16, sums in float16 too"),
        replace(FLOAT32, name="bfloat16-accumulate", title="bfloat16, sums in bfloat16 too", u_acc=UB16, **BFLOAT16),
        # truncated, as some kernels do, a TF32 factor is off by twice its unit roundoff
        replace(FLOAT32, name="tf32", title="float32, factors rounded to TF32", u_in=2 * U16, **TENSOR),
        replace(
            FLOAT32, name="float32-bfloat16", title="float32, factors rounded to bfloat16", u_in=2 * UB16, **TENSOR
        ),
        replace(FLOAT32, name="float32-winograd2", title="float32, Winograd F(2x2, 3x3)", winograd=2),
        replace(FLOAT32, name="float32-winograd4", title="float32, Winograd F(4x4, 3x3)", winograd=4),
        replace(FLOAT64, name="float64-constants", title="float64, constants in float32", u_const=U32),
        replace(FLOAT32, name="float32-tanh", title="float32, sigmoid from a tanh or a fit as exact as one", floor=8.0),
        replace(FLOAT32, name="float32-welford", title="float32, variance by Welford's updates", variance="welford"),
        replace(FLOAT32, name="float32-one-pass", title="float32, variance in one pass", variance="one-pass"),
    )
}
