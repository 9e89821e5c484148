"""What is stored in few digits on the way: statistics of norms, the logarithm of a softmax, constants of a formula.

The worst cases are inside their own arithmetic, at no less than a third of the bound, and outside that of the dtype; a
mistake that is larger than the stored digits explain is outside both.
"""

import itertools

import numpy as np
import pytest
from error_bounds import computed, drawn, shares
from scipy.special import erf, log_softmax

from unet_ref.check import error_bound
from unet_ref.check.bounds.profiles import PROFILES
from unet_ref.check.operation import Case
from unet_ref.judge.rounding import rounded

BITS = {"bfloat16": 8, "float16": 11}
each_half = pytest.mark.parametrize("dtype", BITS)


def numbers(rng, shape, dtype, mean=0.0):
    return rounded(mean + rng.standard_normal(shape), BITS[dtype])


def norm_case(rng, dtype, mean):
    """Twelve samples of three channels."""
    arrays = {"x": numbers(rng, (12, 3), dtype, mean), "weight": numbers(rng, 3, dtype), "bias": numbers(rng, 3, dtype)}
    return Case(arrays, {"training": True, "eps": 1e-3}), numbers(rng, (12, 3), dtype)


def normalised(case, dy, change_mean, change_root):
    """Batch norm of vectors, in float64, with the statistics changed between their computation and their use."""
    x, w, b = case.arrays.values()
    mean = change_mean(x.mean(axis=0))
    root = change_root(1 / np.sqrt(x.var(axis=0) + case.options["eps"]))
    xhat, wdy = (x - mean) * root, w * dy
    dx = root * (wdy - wdy.mean(axis=0) - xhat * (wdy * xhat).mean(axis=0))
    return {"y": w * xhat + b, "x": dx, "weight": (dy * xhat).sum(axis=0), "bias": dy.sum(axis=0)}


def stored(found, dtype):
    return {key: rounded(value, BITS[dtype]) for key, value in found.items()}


@each_half
@pytest.mark.parametrize("mean", [0.0, 3.0, 20.0])
def test_statistics_that_are_kept_in_16_bits(rng, dtype, mean):
    u = 2.0 ** -BITS[dtype]
    for _ in range(20):
        case, dy = norm_case(rng, dtype, mean)
        found = [normalised(case, dy, *(lambda v, s=s: v * (1 + s * u) for s in signs))
                 for signs in itertools.product((-1, 1), repeat=2)]  # fmt: skip
        found.append(normalised(case, dy, *[lambda v: rounded(v, BITS[dtype])] * 2))
        worst = [shares("batch_norm", case, dy, stored(results, dtype), f"{dtype}-kept") for results in found]
        assert max(max(each.values()) for each in worst) <= 1
        assert max(each["y"] for each in worst) > 0.3
        assert max(shares("batch_norm", case, dy, stored(found[0], dtype), dtype).values()) > 1


@each_half
def test_kept_statistics_do_not_excuse_a_wrong_eps_or_one_value_too_few(rng, dtype):
    u = 2.0 ** -BITS[dtype]
    case, dy = norm_case(rng, dtype, 0.0)
    for wrong in (lambda root: root * np.sqrt(11 / 12), lambda root: root * (1 + 8 * u)):
        found = stored(normalised(case, dy, lambda mean: mean, wrong), dtype)
        assert shares("batch_norm", case, dy, found, f"{dtype}-kept")["y"] > 1
    found = stored(normalised(case, dy, lambda mean: mean + 6 * u, lambda root: root), dtype)
    assert shares("batch_norm", case, dy, found, f"{dtype}-kept")["y"] > 1


@each_half
def test_the_logarithm_of_a_softmax_that_is_kept_in_16_bits(rng, dtype):
    u, target = 2.0 ** -BITS[dtype], rng.integers(0, 50, 4)
    x = numbers(rng, (4, 50), dtype) * 2
    case, dy = Case({"x": x, "target": target}, {}), np.asarray(1.5)
    worst = []
    for change in (
        lambda v: rounded(v, BITS[dtype]),
        lambda v: v * (1 + u),
        lambda v: v * (1 - u),
        lambda v: v * (1 + 12 * u),
    ):
        logs = change(log_softmax(x, axis=1))
        loss = -logs[np.arange(4), target].mean()
        found = {"y": np.asarray(loss), "x": (np.exp(logs) - np.eye(50)[target]) * 1.5 / 4}
        worst.append(shares("cross_entropy", case, dy, stored(found, dtype), f"{dtype}-kept"))
    assert max(share for each in worst[:3] for share in each.values()) <= 1
    assert max(share for each in worst[:3] for share in each.values()) > 0.3
    assert min(worst[3].values()) > 1


@pytest.mark.parametrize("name", ["conv2d", "linear", "avg_pool2d", "sigmoid"])
@each_half
def test_where_nothing_is_kept_nothing_is_allowed(rng, name, dtype):
    """The bounds are those of the dtype, bit for bit."""
    case, dy = drawn(name, 1, "float16")
    one, other = (error_bound(name, case.arrays, case.options, dy, kind) for kind in (dtype, f"{dtype}-kept"))
    np.testing.assert_array_equal(one.output, other.output)
    np.testing.assert_array_equal(one.grads["x"], other.grads["x"])


CONSTANTS = {"none": (np.sqrt(0.5), 1 / np.sqrt(2 * np.pi)), "tanh": (np.sqrt(2 / np.pi), 0.044715)}


def gelu(x, dy, root, density):
    gate = (1 + erf(x * root)) / 2
    return {"y": x * gate, "x": dy * (gate + x * np.exp(-x * x / 2) * density)}


def gelu_tanh(x, dy, c, k):
    t = np.tanh(c * (x + k * x**3))
    return {"y": x * (1 + t) / 2, "x": dy * ((1 + t) / 2 + x * (1 - t * t) / 2 * c * (1 + 3 * k * x * x))}


@pytest.mark.parametrize(("approximate", "formula"), [("none", gelu), ("tanh", gelu_tanh)])
def test_constants_in_float32(rng, approximate, formula):
    """Both of a formula's constants off by all that float32 allows, in any direction; and by 1e-3."""
    x, dy = np.linspace(-6, 6, 241), rng.standard_normal(241)
    case, u = Case({"x": x}, {"approximate": approximate}), 2.0**-24
    worst = []
    for signs in itertools.product((-1, 1), repeat=2):
        near, far = (
            formula(x, dy, *(v * (1 + s * off) for v, s in zip(CONSTANTS[approximate], signs, strict=True)))
            for off in (u, 1e-3)
        )
        worst.append(shares("gelu", case, dy, near, "float64-constants"))
        assert shares("gelu", case, dy, near, "float64")["y"] > 1000
        assert shares("gelu", case, dy, far, "float64-constants")["y"] > 1000
    assert 0.3 < max(each["y"] for each in worst) <= 1
    assert 0.3 < max(each["x"] for each in worst) <= 1
    assert max(shares("gelu", case, dy, computed("gelu", case, dy), "float64").values()) <= 1


def test_statistics_that_16_bits_cannot_hold():
    """A reciprocal root beyond the largest float16 is infinite there: no bound."""
    x = np.float16([[0.0], [2.0**-24]])
    case = Case({"x": x}, {"training": True, "eps": 1e-12})
    assert np.isinf(error_bound("batch_norm", case.arrays, case.options, None, "float16-kept").output).all()
    assert PROFILES["float16-kept"].u_kept == 2.0**-11
