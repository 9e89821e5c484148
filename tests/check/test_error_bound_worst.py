"""The bounds reach what rounding can do at worst, to first order, in the definition's formula and in others.

``first_order`` knows the slope of every result by every single rounding before it, so that a bound in which a
rounding was forgotten falls short.
"""

import math

import numpy as np
import pytest
from error_bounds import AFFECTED, drawn, first_order

from unet_ref.check.bounds import activation, convolution, moments, normalization, pooling, profiles
from unet_ref.check.bounds.rounded import Rounded
from unet_ref.check.operation import Case
from unet_ref.spec import scalar

REACHED = 1 + 1e-6  # the bounds hold to all orders, the worst case is of the first


def enough(name, cases=8):
    """The shares of so many draws that are small enough to be traced."""
    found, seed = [], 0
    while len(found) < cases:
        shares = first_order(name, *drawn(name, seed))
        seed += 1
        if shares is not None:
            found.append(shares)
    return found


@pytest.mark.parametrize("name", AFFECTED)
def test_the_definition_s_roundings_are_all_there(name):
    cases = enough(name)
    assert all(share <= REACHED for shares in cases for share in shares.values())


@pytest.mark.parametrize("name", AFFECTED)
def test_a_bound_is_not_far_above_them(name):
    assert max(share for shares in enough(name) for key, share in shares.items() if key != "bias") > 0.1


def far(rng, M, mean, channels=1):
    """Values around a mean that is far from 0."""
    return (mean + rng.standard_normal((1, channels, M))).astype("float32")


def norm_case(rng, M=7, mean=100.0, channels=2):
    arrays = {"x": far(rng, M, mean, channels)}
    arrays |= {key: rng.standard_normal(channels).astype("float32") for key in ("weight", "bias")}
    dy = rng.standard_normal(arrays["x"].shape).astype("float32")
    return Case(arrays, {"num_groups": 1, "eps": 1e-3}), dy


def standard_parts(make, case, dy):
    """Scalars of the arguments, and mean and reciprocal root of one group."""
    x, w, b, dy = (make(array) for array in (*case.arrays.values(), dy))
    M = x.size
    mean = x.sum() / M
    V = ((x - mean) * (x - mean)).sum() / M
    return x[0], w[:, None], b[:, None], dy[0], M, mean, 1 / (V + V.constant(case.options["eps"])).sqrt()


@pytest.mark.parametrize("mean", [0.0, 3.0, 1000.0])
def test_a_folded_norm(rng, mean):
    """PyTorch's: a x + b, and in the backward pass c1 dy + c2 x + c3."""
    case, dy0 = norm_case(rng, mean=mean)

    def formula(make):
        x, w, b, dy, M, m, r = standard_parts(make, case, dy0)
        a = w * r
        sum_dy_x, sum_dy = (dy * x).sum(axis=1, keepdims=True), dy.sum(axis=1, keepdims=True)
        ds, db = (w * sum_dy_x).sum(), (w * sum_dy).sum()
        c2 = (db * m - ds) * r * r * r / M
        c3 = -c2 * m - db * r / M
        return {
            "y": (x * a + (b - m * a))[None],
            "x": (dy * (w * r) + x * c2 + c3)[None],
            "weight": ((sum_dy_x - sum_dy * m) * r)[:, 0],
            "bias": sum_dy[:, 0],
        }

    shares = first_order("group_norm", case, dy0, formula)
    assert max(shares.values()) <= REACHED


@pytest.fixture
def frozen_and_folded(rng):
    """Batch norm with running statistics as a x + b."""
    arrays = {
        "x": far(rng, 4, 50.0), "weight": rng.standard_normal(1), "bias": rng.standard_normal(1),
        "running_mean": np.array([50.5]), "running_var": np.array([0.7]),
    }  # fmt: skip
    case = Case(arrays, {"training": False}).map(lambda array: array.astype("float32"))

    def formula(make):
        x, w, b, m, v = (make(array) for array in case.arrays.values())
        a = w / (v + v[0].constant(1e-5))[0].sqrt()
        return {"y": x * a + (b - m * a)}

    return lambda: first_order("batch_norm", case, None, formula)["y"]


def test_a_folded_norm_at_frozen_statistics(frozen_and_folded, monkeypatch):
    assert 0.2 < frozen_and_folded() <= REACHED
    monkeypatch.setattr(normalization, "FOLDED", 0)
    assert frozen_and_folded() > 10  # without its own term it would be a bug


def welford(x):
    """Mean and M times the variance, value by value."""
    mean, squares = x[0], 0
    for k, value in enumerate(x[1:], 2):
        delta = value - mean
        mean = mean + delta / k
        squares = squares + delta * (value - mean)
    return mean, squares


def merged(x):
    """The same by halves: Chan, Golub and LeVeque."""
    if len(x) == 1:
        return x[0], 0
    half = len(x) // 2
    (m1, s1), (m2, s2) = merged(x[:half]), merged(x[half:])
    delta = m2 - m1
    return m1 + delta * (len(x) - half) / len(x), (s2 + s1) + delta * delta * half * (len(x) - half) / len(x)


def one_pass(x):
    mean = x.sum() / len(x)
    return mean, ((x * x).sum() / len(x) - mean * mean) * len(x)


def two_pass(x):
    mean = x.sum() / len(x)
    return mean, ((x - mean) * (x - mean)).sum()


@pytest.mark.parametrize(
    ("moments_of", "profile"),
    [(two_pass, "float32"), (welford, "float32-welford"), (merged, "float32-welford"), (one_pass, "float32-one-pass")],
)
@pytest.mark.parametrize("mean", [0.0, 3.0, 300.0])
@pytest.mark.parametrize("M", [2, 3, 9, 40])
def test_every_kind_of_variance(rng, moments_of, profile, mean, M):
    """And the update of running statistics as ``old + momentum (new - old)``."""
    case = Case(
        {"x": far(rng, M, mean), "running_mean": np.array([0.3]), "running_var": np.array([1.2])}, {"momentum": 0.1}
    ).map(lambda array: array.astype("float32"))

    def formula(make):
        x, *old = (make(array) for array in case.arrays.values())
        mean, squares = moments_of(x.ravel())
        new = mean, squares / (M - 1)
        momentum = mean.constant(0.1)
        return {
            f"y[{k}]": before + momentum * (after - before)
            for k, (before, after) in enumerate(zip(old, new, strict=True))
        }

    shares = first_order("batch_norm_running_stats", case, None, formula, profile)
    assert max(shares.values()) <= REACHED
    if moments_of in (welford, one_pass) and mean == 300 and M < 10:
        assert first_order("batch_norm_running_stats", case, None, formula)["y[1]"] > 2  # not within the two-pass bound


def function(name, x):
    return np.frompyfunc(getattr(scalar, name), 1, 1)(x)


def erfc(x):
    slope = -2 / math.sqrt(math.pi) * math.exp(-x.value * x.value)
    return x._function("erfc", math.erfc(x.value), slope)


def log1p(x):
    return x._function("log1p", math.log1p(x.value), 1 / (1 + x.value))


def gelu_erfc(make, x, dy):
    x, dy = make(x), make(dy)
    half = x[0].constant(0.5)
    s = x * x[0].constant(math.sqrt(0.5))
    Phi = np.frompyfunc(erfc, 1, 1)(-s) * half
    density = function("exp", -(s * s)) * x[0].constant(1 / math.sqrt(2 * math.pi))
    return {"y": x * Phi, "x": dy * (Phi + x * density)}


def gelu_sigmoid(make, x, dy):
    x, dy = make(x), make(dy)
    k, c = x[0].constant(0.044715), x[0].constant(2 * math.sqrt(2 / math.pi))
    w = c * x * (1 + k * (x * x))
    e = function("exp", -w)
    s = 1 / (1 + e)
    return {"y": x * s, "x": dy * (s + x * (e / ((1 + e) * (1 + e))) * (c * (1 + 3 * k * (x * x))))}


def sigmoid_y(make, x, dy):
    """The gradient from the output."""
    x, dy = make(x), make(dy)
    y = 1 / (1 + function("exp", -x))
    return {"y": y, "x": dy * (y * (1 - y))}


def sigmoid_tanh(make, x, dy):
    x, dy = make(x), make(dy)
    t = function("tanh", x * 0.5)
    return {"y": (t + 1) * 0.5, "x": dy * ((1 - t * t) * 0.25)}


@pytest.mark.parametrize(
    ("name", "options", "formula", "profile"),
    [
        ("gelu", {}, gelu_erfc, "float32"),
        ("gelu", {"approximate": "tanh"}, gelu_sigmoid, "float32"),
        ("sigmoid", {}, sigmoid_y, "float32"),
        ("sigmoid", {}, sigmoid_tanh, "float32-tanh"),
    ],
)
def test_other_formulas_of_activations(rng, name, options, formula, profile):
    x, dy = np.linspace(-7, 7, 57).astype("float32") + np.float32(0.01), rng.standard_normal(57).astype("float32")
    shares = first_order(name, Case({"x": x}, options), dy, lambda make: formula(make, x, dy), profile)
    assert max(shares.values()) <= REACHED


def test_sigmoid_by_tanh_is_a_looser_arithmetic():
    x = np.float32([-12.0])
    shares = first_order("sigmoid", Case({"x": x}, {}), x, lambda make: sigmoid_tanh(make, x, x))
    assert shares["y"] > 100


@pytest.mark.parametrize("shift", [0.0, 500.0])
def test_other_formulas_of_cross_entropy(rng, shift):
    """``x_t - (max + log(sum))``, and the softmax as ``exp(x - max - log(sum))`` in both associations."""
    x, t = (3 * rng.standard_normal((4, 5)) + shift).astype("float32"), np.array([0, 3, 2, 2])
    case, dy = Case({"x": x, "target": t}, {}), np.float32(1.5)

    def formula(make, *, joined):
        x, dy = make(case.arrays["x"]), make(dy32)
        top = np.array([[max(row)] for row in x])
        total = function("log", function("exp", x - top).sum(axis=1, keepdims=True))
        norm = top + total
        logs = x - norm if joined else (x - top) - total
        share = dy.item() / x.shape[0]
        return {
            "y": np.asarray(-sum(row[k] for row, k in zip(logs, t, strict=True)) / x.shape[0]),
            "x": (function("exp", logs) - np.eye(5)[t]) * share,
        }

    dy32 = np.asarray(dy)
    for joined in (False, True):
        shares = first_order("cross_entropy", case, dy32, lambda make, joined=joined: formula(make, joined=joined))
        assert max(shares.values()) <= REACHED


def test_other_formulas_of_binary_cross_entropy(rng):
    """``max(x, 0) - t x + log(1 + exp(-|x|))``: the log rounds 1 + e, and the mean multiplies by 1/M."""
    x, t = (4 * rng.standard_normal(11)).astype("float32"), rng.random(11).astype("float32")

    def formula(make):
        xs, ts = make(x), make(t)
        e = function("exp", np.where(x > 0, -xs, xs))
        terms = np.where(x > 0, xs, 0 * xs) - ts * xs + function("log", 1 + e)
        return {"y": np.asarray(terms.sum() * (1 / xs[0].constant(11)))}

    shares = first_order("binary_cross_entropy_with_logits", Case({"x": x, "target": t}, {}), None, formula)
    assert shares["y"] <= REACHED


@pytest.mark.parametrize("spread", [0.5, 4, 40])
def test_binary_cross_entropy_from_two_logarithms(rng, spread):
    """``t p(-x) + (1 - t) p(x)`` with ``p = max(., 0) + log1p(exp(-|.|))``, differentiated as JAX does.

    The slope of p is ``exp(x - p(x))``. Targets may lie outside 0 to 1.
    """
    x, t = (spread * rng.standard_normal(11)).astype("float32"), rng.uniform(-2, 3, 11).astype("float32")
    dy = np.asarray(np.float32(-1.5))

    def formula(make):
        xs, ts, up = make(x), make(t), make(dy).item()
        soft = np.frompyfunc(log1p, 1, 1)(function("exp", np.where(x > 0, -xs, xs)))
        right, left = np.where(x > 0, xs, 0) + soft, np.where(x < 0, -xs, 0) + soft
        slopes = (1 - ts) * function("exp", xs - right) - ts * function("exp", -xs - left)
        share = up / 11
        return {"y": np.asarray((ts * left + (1 - ts) * right).sum() / 11), "x": slopes * share,
                "target": (left - right) * share}  # fmt: skip

    case = Case({"x": x, "target": t}, {})
    shares = first_order("binary_cross_entropy_with_logits", case, dy, formula)
    assert all(0.1 < share <= REACHED for share in shares.values()), shares


def test_film_as_a_sum_of_three(rng):
    """``x + gamma x + beta``, which cancels where gamma is near -1."""
    case = Case({"x": far(rng, 5, 3.0)[0], "gamma": np.array([-0.99]), "beta": np.array([0.1])}, {})
    case = case.map(lambda array: array.astype("float32"))

    def formula(make):
        x, gamma, beta = (make(array) for array in case.arrays.values())
        return {"y": x + gamma * x + beta}

    assert first_order("film", case, None, formula)["y"] <= REACHED


# --- bounds with a mistake fall short --------------------------------------------------------------------------------


def certain_mean(profile, x, axes):
    mean, variance = MOMENTS(profile, x, axes)
    return Rounded(profile, mean.value), variance


def certain_variance(profile, x, axes):
    mean, variance = MOMENTS(profile, x, axes)
    return mean, Rounded(profile, variance.value)


GAMMA, BILINEAR, MOMENTS = profiles.Profile.gamma, convolution._bilinear, moments.moments


@pytest.mark.parametrize(
    ("room", "attribute", "wrong", "name"),
    [
        (profiles.Profile, "gamma", lambda self, n: 0.8 * GAMMA(self, n), "conv2d"),
        (profiles.Profile, "gamma", lambda self, n: GAMMA(self, np.maximum(np.asarray(n) - 1, 0)), "linear"),
        (profiles.Profile, "gamma", lambda self, n: GAMMA(self, np.maximum(np.asarray(n) - 1, 0)), "conv_transpose2d"),
        (profiles.Profile, "function", 0.0, "sigmoid"),
        (profiles.Profile, "function", 0.0, "gelu"),
        (profiles.Profile, "function", 0.0, "glu"),
        (profiles.Profile, "function", 0.0, "cross_entropy"),
        (normalization, "moments", certain_mean, "batch_norm"),
        (normalization, "moments", certain_mean, "batch_norm_running_stats"),
        (normalization, "moments", certain_variance, "batch_norm_running_stats"),
        (pooling, "_spans", lambda size, outputs: np.zeros(outputs, dtype=int), "adaptive_avg_pool2d"),
        (activation, "LOGISTIC", 0, "sigmoid"),
        (
            convolution,
            "_bilinear",
            lambda given, terms, tiles: BILINEAR(given, dict.fromkeys(terms, 1), tiles),
            "conv2d",
        ),
    ],
)
def test_a_mistake_in_a_bound_is_seen(monkeypatch, room, attribute, wrong, name):
    if room is profiles.Profile and attribute == "function":
        changed = {key: profiles.replace(p, function=wrong) for key, p in profiles.PROFILES.items()}
        monkeypatch.setattr(profiles, "PROFILES", changed)
    else:
        monkeypatch.setattr(room, attribute, wrong)
    assert any(share > REACHED for shares in enough(name, 12) for share in shares.values())
