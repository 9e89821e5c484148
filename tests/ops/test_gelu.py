"""gelu: hand-worked values, laws, tails of both formulas, every precision, infinity, and errors."""

import subprocess
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import ShapeError, ops
from unet_ref.ops.normal import MILLS, distribution, expanded, mills

BOTH = pytest.mark.parametrize("approximate", ["none", "tanh"])


def exact(x, approximate):
    """Value and slope from mpmath, in its precision."""
    if approximate == "none":
        return x * mpmath.ncdf(x), mpmath.ncdf(x) + x * mpmath.npdf(x)
    root, cubic = mpmath.sqrt(2 / mpmath.pi), mpmath.mpf("0.044715")
    s = 1 / (1 + mpmath.exp(-2 * root * (x + cubic * x**3)))  # (1 + tanh(u)) / 2
    return x * s, s + x * s * (1 - s) * 2 * root * (1 + 3 * cubic * x**2)


def test_hand_worked():
    # Phi(1) = 0.841344746..., phi(1) = 0.241970724...: from tables of the normal distribution
    x = np.array([1.0, -1.0, 0.0])
    np.testing.assert_allclose(ops.gelu(x), [0.841344746, -0.158655254, 0], rtol=1e-8)
    grad = ops.gelu_backward(np.array([1.0, 1.0, -3.0]), x).x
    np.testing.assert_allclose(grad, [0.841344746 + 0.241970724, 0.158655254 - 0.241970724, -1.5], rtol=1e-8)


@BOTH
@given(value=st.floats(-30, 30))
def test_reflection(approximate, value):
    """``gelu(x) - gelu(-x) = x``, as Phi(x) + Phi(-x) = 1; the slopes at x and -x add up to 1."""
    x = np.array([value])
    difference = ops.gelu(x, approximate=approximate) - ops.gelu(-x, approximate=approximate)
    np.testing.assert_allclose(difference, x, rtol=1e-14, atol=1e-300)
    one = np.ones(1)
    slopes = [ops.gelu_backward(one, point, approximate=approximate).x for point in (x, -x)]
    np.testing.assert_allclose(slopes[0] + slopes[1], 1, rtol=1e-14)


def test_the_formulas_differ_but_little(rng):
    x = 3 * rng.standard_normal(1000)
    difference = np.abs(ops.gelu(x) - ops.gelu(x, approximate="tanh"))
    assert 1e-4 < difference.max() < 5e-4


@pytest.mark.parametrize(("dtype", "roundings"), [("float32", 400), ("float64", 600), ("longdouble", 2000)])
@BOTH
def test_small_numbers_far_to_the_left_keep_their_digits(dtype, roundings, approximate):
    """Where ``1 + erf`` would be 0 the value is small, not 0: its relative error grows as x^2, not without bound."""
    x = np.linspace(-15 if dtype != "float32" else -8, 15, 231).astype(dtype)
    y, slopes = ops.gelu(x, approximate=approximate), ops.gelu_backward(np.ones_like(x), x, approximate=approximate).x
    with mpmath.workdps(60):
        for k, value in enumerate(x):
            value_exact, slope_exact = exact(mpf(value), approximate)
            assert abs(mpf(y[k]) - value_exact) <= roundings * np.finfo(dtype).eps * abs(value_exact)
            assert abs(mpf(slopes[k]) - slope_exact) <= roundings * np.finfo(dtype).eps * abs(slope_exact)


def mpf(value):
    """A number of NumPy's, exactly."""
    return mpmath.mpf(float(value)) + mpmath.mpf(float(value - type(value)(float(value))))


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
@BOTH
def test_nan_infinity_and_overflowing_squares(dtype, approximate):
    """As in PyTorch: infinity times zero is NaN. Finite numbers whose square or cube overflows have a value and a slope."""
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 1e15, -1e15], dtype=dtype)
    np.testing.assert_array_equal(ops.gelu(x, approximate=approximate), [np.inf, np.nan, np.nan, x[3], 0, x[5], 0])
    slopes = ops.gelu_backward(np.full_like(x, 2), x, approximate=approximate).x
    np.testing.assert_array_equal(slopes, [np.nan, np.nan, np.nan, 2, 0, 2, 0])


@pytest.mark.parametrize("dtype", ["longdouble", "complex128"])
def test_the_expansions_are_the_librarys_function(dtype):
    """What stands in for it where it lacks a dtype: longdouble in SciPy, complex numbers in CuPy."""
    x = np.concatenate([np.linspace(-9, 9, 401), [-3.0, 3.0, 0.0, 40.0, -40.0]])
    moved = x + (1e-30j if dtype == "complex128" else 0)
    with np.errstate(all="ignore"):
        Phi = expanded(moved.astype(dtype))
    np.testing.assert_allclose(Phi.real, distribution(x), rtol=2e-13, atol=1e-16)
    if dtype == "complex128":
        np.testing.assert_allclose(Phi.imag * 1e30, np.exp(-x * x / 2) / np.sqrt(2 * np.pi), rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@BOTH
def test_an_element_has_the_same_bits_wherever_it_sits(rng, dtype, approximate):
    x = (4 * rng.standard_normal(140_001)).astype(dtype)
    y = ops.gelu(x, approximate=approximate)
    slopes = ops.gelu_backward(x, x, approximate=approximate).x
    for part in (slice(0, 1), slice(7, 20), slice(131_070, 131_079), slice(2, 140_001, 3), slice(139_998, None)):
        assert ops.gelu(x[part], approximate=approximate).tobytes() == y[part].tobytes()
        assert ops.gelu_backward(x[part], x[part], approximate=approximate).x.tobytes() == slopes[part].tobytes()


def test_scipy_is_loaded_by_the_first_call_and_not_before():
    program = (
        "import sys, numpy, unet_ref.ops as ops; before = 'scipy' in sys.modules; "
        "ops.gelu(numpy.ones(3), approximate='tanh'); ops.gelu(numpy.ones(3)); "
        "before |= 'scipy' in sys.modules; ops.gelu(numpy.ones(3) + 0j); print(before, 'scipy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_errors_say_the_rule_and_the_values():
    with pytest.raises(ShapeError, match=r"^gelu: approximate \('erf'\) must be 'none' or 'tanh'$"):
        ops.gelu(np.zeros(3), approximate="erf")
    with pytest.raises(ShapeError, match=r"^gelu_backward: approximate \(True\) must be 'none' or 'tanh'$"):
        ops.gelu_backward(np.zeros(3), np.zeros(3), approximate=True)
    with pytest.raises(
        ShapeError, match=r"^gelu_backward: grad_output.shape \(2,\) must be the output's shape \(3,\)$"
    ):
        ops.gelu_backward(np.zeros(2), np.zeros(3))


@pytest.mark.parametrize(("char", "left_out"), [("f", 3e-9), ("d", 4e-18)])
def test_the_coefficients_are_those_of_the_chebyshev_series(char, left_out):
    """``(a + 3/2) Phi(-a) / phi(a)`` in ``t = (a - 4) / (a + 4)``, interpolated anew in 50 digits."""
    with mpmath.workdps(50):

        def target(t):
            a = 4 * (1 + t) / (1 - t)
            return (a + 1.5) * mpmath.sqrt(mpmath.pi / 2) * mpmath.exp(a * a / 2) * mpmath.erfc(a / mpmath.sqrt(2))

        def polynomial(t):
            return sum(mpmath.mpf(c) * t**k for k, c in enumerate(MILLS[char]))

        errors = [abs(polynomial(t) - target(t)) for t in mpmath.linspace(-1, mpmath.mpf("0.9"), 150)]
        assert max(errors) < left_out + (1e-10 if char == "f" else 1.2e-16)  # what rounding the coefficients adds
        assert max(errors) > 1e-20  # and no more accurate than a series of this length can be


@pytest.mark.parametrize(("dtype", "roundings"), [("float32", 5), ("float64", 5)])
def test_mills_ratio_to_a_few_roundings(dtype, roundings, rng):
    a = np.abs(3 * rng.standard_normal(400)).astype(dtype)
    with mpmath.workdps(40):
        exact = [
            mpmath.sqrt(mpmath.pi / 2)
            * mpmath.exp(mpmath.mpf(float(v)) ** 2 / 2)
            * mpmath.erfc(mpmath.mpf(float(v)) / mpmath.sqrt(2))
            for v in a
        ]
        worst = max(abs(mpmath.mpf(float(m)) / e - 1) for m, e in zip(mills(a), exact, strict=True))
    assert worst < roundings * np.finfo(dtype).eps / 2
