"""What is wrong is outside the bounds of float32: a factor of 1.001, a term left out, one value too few in a mean."""

import numpy as np
import pytest
from error_bounds import computed, drawn, shares, tensors

from unet_ref import ops
from unet_ref.check import error_bound, ratio
from unet_ref.check.operation import Case
from unet_ref.check.table import OPERATIONS

WRONG = 1 + 1e-3


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_scale(name):
    """Of every result, at every element of at least the tensor's size."""
    for seed in range(12):
        case, dy = drawn(name, seed)
        bounds = error_bound(name, case.arrays, case.options, dy)
        expected, limits = tensors(*bounds.reference), tensors(bounds.output, bounds.grads)
        for key, values in expected.items():
            size = np.sqrt(np.mean(values**2)) if values.size else 0.0
            signal = (np.abs(values) >= size) & (np.abs(values) > 1e-5) & ~np.asarray(bounds_vacuous(bounds, key))
            assert (ratio(values * WRONG, values, limits[key])[signal] > 1).all(), (key, seed)


def bounds_vacuous(bounds, key):
    """Whether the bound of an element exceeds its tensor's size."""
    vacuous = dict(bounds.vacuous)
    return tensors(vacuous.pop("output"), vacuous)[key]


def outside(name, case, dy, wrong):
    """The share of the bound that a result of wrong arguments is off: all of them must be outside somewhere."""
    return [share > 1 for share in shares(name, case, dy, wrong).values()]


def changed(case, **arrays):
    return Case({**case.arrays, **arrays}, case.options)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "linear"])
def test_a_tap_left_out(name, rng):
    """One weight of one output, or one pixel: forward, and in each gradient that uses it."""
    for seed in range(12):
        case, dy = drawn(name, seed)
        weight, x, up = case.arrays["weight"].copy(), case.arrays["x"].copy(), dy.copy()
        weight[(-1,) * weight.ndim] = x[(-1,) * x.ndim] = up[(-1,) * up.ndim] = 0
        right = computed(name, case, dy)
        for wrong in (
            {"y": computed(name, changed(case, weight=weight), dy)["y"]},
            {"y": computed(name, changed(case, x=x), dy)["y"]},
            {"x": computed(name, case, up)["x"]},
            {"weight": computed(name, changed(case, x=x), dy)["weight"]},
            {"bias": computed(name, case, up)["bias"]} if "bias" in right else {},
        ):
            for key, values in wrong.items():
                if not np.array_equal(values, right[key]):  # some taps see nothing but padding
                    assert shares(name, case, dy, {**right, key: values})[key] > 1


@pytest.mark.parametrize("name", ["avg_pool2d", "adaptive_avg_pool2d", "mse_loss", "binary_cross_entropy_with_logits"])
def test_a_value_left_out(name):
    for seed in range(12):
        case, dy = drawn(name, seed)
        x, right = case.arrays["x"].copy(), computed(name, case, dy)
        x[(0,) * x.ndim] = 0 if "pool" in name else case.arrays["target"][(0,) * x.ndim]
        values = computed(name, changed(case, x=x), dy)["y"]
        if not np.array_equal(values, right["y"]):
            assert shares(name, case, dy, {**right, "y": values})["y"] > 1


def test_a_mean_without_one_value(rng):
    """Of M = 40 values 39, in batch norm's mean: its output and every gradient that the mean enters."""
    x, dy = (rng.standard_normal((8, 3, 5)).astype("float32") for _ in "xy")
    w, b = (rng.standard_normal(3).astype("float32") for _ in "wb")
    case = Case({"x": x, "weight": w, "bias": b}, {"training": True})
    axes = (0, 2)
    mean = (x.sum(axis=axes) - x[0, :, 0]) / 39
    frozen = {"running_mean": mean, "running_var": x.var(axis=axes)}
    y = ops.batch_norm(x, w, b, **frozen, training=False)
    grads = ops.batch_norm_backward(dy, x, w, b, **frozen, training=False)
    wrong = {**computed("batch_norm", case, dy), "y": y, "weight": grads.weight}
    found = shares("batch_norm", case, dy, wrong)
    assert found["y"] > 10
    assert found["weight"] > 10


@pytest.mark.parametrize("name", ["batch_norm", "group_norm"])
@pytest.mark.parametrize("eps", [0.0, 2e-3, 1e-5])
def test_a_wrong_eps(name, rng, eps):
    x = rng.standard_normal((2, 4, 9)).astype("float32")
    case = Case({"x": x}, {"training": True} if name == "batch_norm" else {"num_groups": 2})
    y = getattr(ops, name)(x, **{**case.options, "eps": eps})
    assert (shares(name, Case(case.arrays, {**case.options, "eps": 1e-3}), None, {"y": y})["y"] > 1) is (eps != 1e-3)
    assert shares(name, Case(case.arrays, {**case.options, "eps": eps}), None, {"y": y})["y"] <= 1
