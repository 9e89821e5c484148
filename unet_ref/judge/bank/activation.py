"""Mistakes of activations: other curves, and slopes of other curves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ...arithmetic import constant, pi, real, root
from ...masks import keep
from ...ops.elementwise import each
from ...ops.normal import density, distribution
from ...ops.sigmoid import sigma, sigma_slope
from ..mistake import Arguments, Base, Results, mistake
from .tools import number, regraded

RELU, SIGMOID, GELU = "relu", "sigmoid", "gelu"
CURVED = (SIGMOID, GELU)

Curve = Callable[[Any], Any]


def _curve(arguments: Arguments, value: Curve, slope: Curve) -> Results:
    """An elementwise function and its derivative in place of the right ones."""
    x, dy = arguments.arrays["x"], arguments.grad_output
    return Results(each(value, x), {} if dy is None else {"x": each(lambda dy, x: dy * slope(x), dy, x)})


def _slope(arguments: Arguments, base: Base, slope: Curve) -> Results:
    """The right output with another derivative."""
    x, dy = arguments.arrays["x"], arguments.grad_output
    return regraded(base(arguments), x=lambda _: each(lambda dy, x: dy * slope(x), dy, x))


def _masked(arguments: Arguments, base: Base, mask: Callable[[Any, Any], Any]) -> Results:
    """The right output; of the upstream gradient what a mask lets through."""
    x, dy = arguments.arrays["x"], arguments.grad_output
    return regraded(base(arguments), x=lambda _: each(lambda dy, x: keep(mask(real(dy), real(x)), dy), dy, x))


# --- ReLU ----------------------------------------------------------------------------------------------------------


@mistake(RELU, mend="What is negative becomes zero, not a hundredth of itself.")
def leaky(arguments: Arguments, base: Base) -> Results:
    """Negative values leak through: 0.01 * x instead of 0."""
    leak = Fraction(1, 100)
    return _curve(
        arguments, lambda x: np.where(real(x) > 0, x, number(leak, x) * x),
        lambda x: np.where(real(x) > 0, number(1, x), number(leak, x)),
    )  # fmt: skip


@mistake(RELU, mend="ReLU has no upper end.")
def capped_at_six(arguments: Arguments, base: Base) -> Results | None:
    """Values above 6 are cut off, as in ReLU6."""
    above = real(arguments.arrays["x"]) > 6
    if not above.any():
        return None
    results = base(arguments)
    output = np.where(above, number(6, results.output), results.output).astype(results.output.dtype)
    return regraded(results._replace(output=output), x=lambda g: np.where(above, number(0, g), g).astype(g.dtype))


@mistake(RELU, mend="max(x, 0) must return NaN for NaN: fmax and `x > 0 ? x : 0` do not.")
def nan_becomes_zero(arguments: Arguments, base: Base) -> Results | None:
    """NaN becomes zero."""
    x = arguments.arrays["x"]
    nan = x != x  # noqa: PLR0124
    return base(arguments.with_arrays(x=np.where(nan, number(0, x), x).astype(x.dtype))) if nan.any() else None


@mistake(RELU, mend="The gradient passes where x > 0 only.", affects=("x",))
def gradient_passes_everywhere(arguments: Arguments, base: Base) -> Results:
    """The gradient passes where x is negative too: the mask is forgotten."""
    return _masked(arguments, base, lambda dy, x: x == x)  # noqa: PLR0124


@mistake(RELU, mend="At x = 0 the slope is 0: the gradient passes where x > 0.", affects=("x",))
def gradient_passes_at_zero(arguments: Arguments, base: Base) -> Results:
    """The gradient passes where x is zero: x >= 0 in place of x > 0."""
    return _masked(arguments, base, lambda dy, x: ~(x < 0))


@mistake(RELU, mend="The mask is about x (or the output), not about the upstream gradient.", affects=("x",))
def gradient_masked_by_its_own_sign(arguments: Arguments, base: Base) -> Results:
    """The gradient passes where it is itself positive, whatever x is (a deconvnet)."""
    return _masked(arguments, base, lambda dy, x: dy > 0)


@mistake(RELU, mend="Negative upstream gradients pass as well.", affects=("x",))
def negative_gradients_dropped(arguments: Arguments, base: Base) -> Results:
    """The gradient passes where x and it are both positive (guided backpropagation)."""
    return _masked(arguments, base, lambda dy, x: (x > 0) & (dy > 0))


@mistake(RELU, mend="The gradient passes where x > 0, not where x < 0.", affects=("x",))
def mask_inverted(arguments: Arguments, base: Base) -> Results:
    """The gradient passes where x is negative, and stops where it is positive."""
    return _masked(arguments, base, lambda dy, x: x < 0)


@mistake(RELU, mend="The slope is 1 where x > 0: do not multiply by the output.", affects=("x",))
def gradient_times_the_output(arguments: Arguments, base: Base) -> Results:
    """The gradient is multiplied by the output instead of the mask."""
    return _slope(arguments, base, lambda x: keep(real(x) > 0, x))


# --- sigmoid -------------------------------------------------------------------------------------------------------


@mistake(SIGMOID, mend="The sigmoid is 1 / (1 + exp(-x)).")
def sign_of_the_exponent(arguments: Arguments, base: Base) -> Results:
    """exp(x) in place of exp(-x): the curve falls."""
    results = base(arguments.with_arrays(x=-arguments.arrays["x"]))
    return regraded(results, x=lambda g: -g)


@mistake(SIGMOID, mend="The sigmoid is (1 + tanh(x / 2)) / 2: with half of x.")
def tanh_of_x_for_half_of_x(arguments: Arguments, base: Base) -> Results:
    """(1 + tanh(x)) / 2: twice as steep as it should be."""
    x = arguments.arrays["x"]
    return regraded(base(arguments.with_arrays(x=x * number(2, x))), x=lambda g: g * number(2, g))


@mistake(SIGMOID, mend="Use the exponential: three straight lines are the hard sigmoid.")
def hard_sigmoid(arguments: Arguments, base: Base) -> Results:
    """Three straight lines, x/6 + 1/2 held between 0 and 1, in place of the curve."""

    def line(x: Any) -> Any:
        y = x * number(Fraction(1, 6), x) + number(Fraction(1, 2), x)
        return np.where(real(x) <= -3, number(0, x), np.where(real(x) >= 3, number(1, x), y)).astype(x.dtype)

    return _curve(arguments, line, lambda x: keep(abs(real(x)) < 3, x * 0 + number(Fraction(1, 6), x)))


@mistake(SIGMOID, mend="In s (1 - s), s is the output: apply the sigmoid to x first.", affects=("x",))
def slope_from_the_input(arguments: Arguments, base: Base) -> Results:
    """The slope is x (1 - x): the input where the output belongs."""
    return _slope(arguments, base, lambda x: x * (1 - x))


@mistake(SIGMOID, mend="If the backward pass gets the output, it is s already.", affects=("x",))
def sigmoid_applied_twice_in_the_backward(arguments: Arguments, base: Base) -> Results:
    """The slope is s (1 - s) with s the sigmoid of the output instead of the output."""
    return _slope(arguments, base, lambda x: sigma_slope(sigma(x)))


@mistake(SIGMOID, mend="The slope is s (1 - s).", affects=("x",))
def slope_without_one_minus(arguments: Arguments, base: Base) -> Results:
    """The slope is s: the factor 1 - s is forgotten."""
    return _slope(arguments, base, sigma)


@mistake(SIGMOID, mend="The slope is s (1 - s); 1 - s^2 is that of tanh.", affects=("x",))
def slope_of_tanh(arguments: Arguments, base: Base) -> Results:
    """The slope is 1 - s^2, as for tanh."""
    return _slope(arguments, base, lambda x: 1 - sigma(x) * sigma(x))


# --- GELU ----------------------------------------------------------------------------------------------------------


def _is_tanh(arguments: Arguments) -> bool:
    return bool(arguments.options.get("approximate", "none") == "tanh")


@mistake(GELU, mend="approximate='none' asks for erf: x * (1 + erf(x / sqrt(2))) / 2.")
def tanh_for_erf(arguments: Arguments, base: Base) -> Results | None:
    """The approximation by tanh in place of the exact curve; they differ by up to 5e-4."""
    return None if _is_tanh(arguments) else base(arguments.with_options(approximate="tanh"))


@mistake(GELU, mend="approximate='tanh' asks for the approximation.")
def erf_for_tanh(arguments: Arguments, base: Base) -> Results | None:
    """The exact curve in place of the approximation by tanh; they differ by up to 5e-4."""
    return base(arguments.with_options(approximate="none")) if _is_tanh(arguments) else None


@mistake(GELU, mend="x * sigmoid(1.702 x) is a rougher approximation than either of the two.")
def sigmoid_approximation(arguments: Arguments, base: Base) -> Results:
    """x * sigmoid(1.702 x) in place of the curve; they differ by up to 2e-2."""
    return _swish(arguments, Fraction("1.702"))


@mistake(GELU, mend="SiLU (swish) is x * sigmoid(x); GELU is x * Phi(x).")
def silu_in_place_of_gelu(arguments: Arguments, base: Base) -> Results:
    """x * sigmoid(x), another curve."""
    return _swish(arguments, Fraction(1))


def _swish(arguments: Arguments, factor: Fraction) -> Results:
    def slope(x: Any) -> Any:
        w = number(factor, x) * x
        return sigma(w) + w * sigma_slope(w)

    return _curve(arguments, lambda x: x * sigma(number(factor, x) * x), slope)


@mistake(GELU, mend="The argument of erf is x / sqrt(2).")
def root_of_two_forgotten(arguments: Arguments, base: Base) -> Results | None:
    """x * (1 + erf(x)) / 2: erf of x instead of x / sqrt(2)."""
    if _is_tanh(arguments):
        return None

    def stretched(x: Any) -> Any:
        return x * root(constant(2, x), x)

    return _curve(
        arguments, lambda x: x * distribution(stretched(x)),
        lambda x: distribution(stretched(x)) + stretched(x) * density(stretched(x)),
    )  # fmt: skip


def _tanh(cubic: Fraction, slope_cubic: Fraction | None = None) -> tuple[Curve, Curve]:
    """The approximation with another coefficient in its value and in its slope."""

    def inner(x: Any) -> Any:
        return 2 * root(2 / pi(x), x) * (x + number(cubic, x) * x * x * x)

    def slope(x: Any) -> Any:
        bend = number(3 * cubic if slope_cubic is None else slope_cubic, x)
        return sigma(inner(x)) + x * sigma_slope(inner(x)) * 2 * root(2 / pi(x), x) * (1 + bend * x * x)

    return lambda x: x * sigma(inner(x)), slope


CUBIC = Fraction("0.044715")


@mistake(GELU, mend="The argument of tanh is sqrt(2/pi) * (x + 0.044715 x^3).")
def cubic_term_forgotten(arguments: Arguments, base: Base) -> Results | None:
    """The approximation without its term in x^3."""
    return _curve(arguments, *_tanh(Fraction(0))) if _is_tanh(arguments) else None


@mistake(GELU, mend="The derivative of 0.044715 x^3 is 3 * 0.044715 x^2.", affects=("x",), seen=("tensorflow#47724",))
def three_forgotten_in_the_slope(arguments: Arguments, base: Base) -> Results | None:
    """The slope of the approximation has 0.044715 x^2 where 3 * 0.044715 x^2 belongs."""
    return _slope(arguments, base, _tanh(CUBIC, CUBIC)[1]) if _is_tanh(arguments) else None


@mistake(GELU, mend="The product rule has two terms: Phi(x) + x * Phi'(x).", affects=("x",))
def slope_without_the_density(arguments: Arguments, base: Base) -> Results:
    """The slope is Phi(x): the term x * Phi'(x) is forgotten."""
    return _slope(arguments, base, _phi(arguments))


def _phi(arguments: Arguments) -> Curve:
    if not _is_tanh(arguments):
        return distribution
    return lambda x: sigma(2 * root(2 / pi(x), x) * (x + number(CUBIC, x) * x * x * x))


@mistake(GELU, mend="The slope of the approximation has tanh in it too.", affects=("x",))
def slope_of_the_exact_curve(arguments: Arguments, base: Base) -> Results | None:
    """The output is the approximation by tanh, the slope that of the exact curve."""
    if not _is_tanh(arguments):
        return None
    exact = base(arguments.with_options(approximate="none"))
    return base(arguments)._replace(grads=exact.grads)


# --- both curves ---------------------------------------------------------------------------------------------------


def _nan_beyond(arguments: Arguments, base: Base, least: float, most: float) -> Results:
    """NaN where x lies outside ``least .. most``."""
    results, x = base(arguments), real(arguments.arrays["x"])
    far = (x < least) | (x > most)

    def gone(array: Any) -> Any:
        return np.where(far, number(np.nan, array), array).astype(array.dtype)

    return regraded(results._replace(output=gone(results.output)), x=gone)


def _fit_nan_beyond(arguments: Arguments, base: Base, got: Results) -> Results | None:
    """The interval within which ``got`` has numbers."""
    x = real(arguments.arrays["x"])
    if x.dtype == object or np.shape(got.output) != x.shape or not (fine := got.output == got.output).any():
        return None
    return _nan_beyond(arguments, base, float(x[fine].min()), float(x[fine].max()))


@mistake(
    *CURVED, mend="Bring the argument of exp below zero first, exp(-|x|), and cut off what has reached its limit.",
    fit=_fit_nan_beyond, seen=("pytorch#186278", "executorch#22323", "tensorflow#47724"),
)  # fmt: skip
def nan_far_from_zero(arguments: Arguments, base: Base) -> Results | None:
    """Far from zero an exponential overflows, and infinity over infinity is NaN."""
    x = real(arguments.arrays["x"])
    if x.dtype == object or not (x > 8).any():
        return None
    return _nan_beyond(arguments, base, -np.inf, 8)
