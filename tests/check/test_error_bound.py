"""``error_bound``, ``reference``, ``ratio``: shapes, profiles, what is vacuous, where several answers are right."""

import copy
import pickle
from decimal import Decimal, localcontext

import numpy as np
import pytest
from error_bounds import by_name, drawn, tensors

from unet_ref import DTypeError, ops
from unet_ref.check import PROFILES, Profile, error_bound, ratio, reference
from unet_ref.check.bounds import FAMILIES
from unet_ref.check.bounds.profiles import LONGDOUBLE
from unet_ref.check.error_bound import _given
from unet_ref.check.operation import Case
from unet_ref.check.table import OPERATIONS

every = pytest.mark.parametrize("name", OPERATIONS)


def test_every_operation_has_bounds():
    assert list(FAMILIES) == list(dict.fromkeys(FAMILIES))
    assert set(FAMILIES) == set(OPERATIONS)


@every
@pytest.mark.parametrize("profile", PROFILES)
def test_bounds_have_the_shapes_of_the_results(name, profile):
    for seed in range(3):
        case, dy = drawn(name, seed, "float64" if profile == "float64" else "float32")
        if "float16" in profile:
            case = case.map(lambda array: array.astype("float16"))
        bounds = error_bound(name, case.arrays, case.options, dy, profile)
        expected, limits = tensors(*bounds.reference), tensors(bounds.output, bounds.grads)
        assert expected.keys() == limits.keys()
        for key, limit in limits.items():
            assert limit.shape == expected[key].shape
            assert limit.dtype == np.float64
            assert (limit >= 0).all()
        assert bounds.profile is PROFILES[profile]
        assert set(bounds.vacuous) == {"output"} | {key for key, bound in bounds.grads.items() if bound is not None}
        assert set(bounds.grads) >= set(OPERATIONS[name].gradients)


@every
def test_without_an_upstream_gradient_there_are_no_gradients(name):
    case, dy = drawn(name, 0)
    bounds = error_bound(name, case.arrays, case.options)
    assert bounds.grads == bounds.reference[1] == {}
    with_gradients = error_bound(name, case.arrays, case.options, dy)
    for one, other in zip(
        tensors(bounds.output, {}).values(), tensors(with_gradients.output, {}).values(), strict=True
    ):
        assert one.tobytes() == other.tobytes()


@every
def test_arguments_in_a_row(name):
    """In the signature's order, the arrays as they are, or as lists of numbers of the same values."""
    case, dy = drawn(name, 1)
    by_names, in_a_row = (
        error_bound(name, arrays, case.options, dy) for arrays in (case.arrays, list(case.arrays.values()))
    )
    assert pickle.dumps(by_names.output) == pickle.dumps(in_a_row.output)
    assert pickle.dumps(by_names.grads) == pickle.dumps(in_a_row.grads)


@every
def test_nothing_is_changed(name):
    case, dy = drawn(name, 2)
    before = copy.deepcopy((case, dy))
    error_bound(name, case.arrays, case.options, dy)
    assert pickle.dumps(before) == pickle.dumps((case, dy))


@every
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_the_reference_is_as_exact_as_it_says(name, dtype):
    """Beside the definition in 50 digits, within the error that the bounds add for it."""
    kind, own = (
        (PROFILES["float64"], LONGDOUBLE) if dtype is np.longdouble else (PROFILES["float32"], PROFILES["float64"])
    )

    def decimals(array):
        high = np.asarray(array, dtype=np.float64)
        low = np.asarray(array - high, dtype=np.float64)
        return np.asarray(
            np.frompyfunc(lambda h, l: Decimal(float(h)) + Decimal(float(l)), 2, 1)(high, low), dtype=object
        )

    with localcontext() as context:
        context.prec = 50
        for seed in range(4):
            case, dy = drawn(name, seed, "float64")
            given = _given(name, case.arrays, case.options, dy, kind)
            errors = FAMILIES[name](given)
            exact = case.map(decimals)
            y = OPERATIONS[name].definition(**exact.arrays, **case.options)
            backward = OPERATIONS[name].definition_backward
            grads = {} if dy is None else by_name(backward(decimals(dy), **exact.arrays, **case.options))
            limits = tensors(errors.output(own), {key: error(own) for key, error in errors.grads.items()})
            ours, theirs = tensors(given.y, given.grads), tensors(y, grads)
            for key, limit in limits.items():
                off = np.asarray(np.abs(decimals(ours[key]) - theirs[key]), dtype=np.float64)
                assert (off <= limit + 1e-40).all()


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("linear", "concat", "film")])
def test_empty_batches(name):
    case = next(case for case, _ in (drawn(name, seed) for seed in range(20)) if case.arrays["x"].ndim == 4)
    arrays = {key: a[:0] if a is not None and key in ("x", "target") else a for key, a in case.arrays.items()}
    y, _ = reference(name, arrays, case.options)
    bounds = error_bound(name, arrays, case.options, None if isinstance(y, tuple) else np.ones_like(y))
    for limit in tensors(bounds.output, bounds.grads).values():
        assert np.isfinite(limit).all()


def test_unknown_names():
    with pytest.raises(DTypeError, match=r"error_bound: name \('conv3d'\) must be an operation: one of conv2d, "):
        error_bound("conv3d", [])
    with pytest.raises(DTypeError, match=r"error_bound: profile \('float8'\) must be one of float64, float32, "):
        error_bound("relu", [np.ones(1)], profile="float8")


def test_a_profile_of_one_s_own():
    mine = Profile("mine", "coarse", "float32", 0.0, 2.0**-10, 2.0**-10, 0.0, 0.0, 1e30)
    x, w = np.float32([[1.0, 3.0]]), np.float32([[2.0, -5.0]])
    bounds = error_bound("linear", [x, w], profile=mine)
    assert bounds.profile is mine
    assert bounds.output.item() == pytest.approx(2 * 2.0**-10 * 17, rel=1e-2)


def test_ratio():
    nan, inf = np.nan, np.inf
    found = np.array([1.0, 1.5, nan, nan, inf, inf, 2.0, 2.0, -inf, 1.0])
    expected = np.array([1.0, 1.0, nan, 1.0, inf, -inf, 1.0, 1.0, 1.0, 2.0])
    bound = np.array([0.0, 0.25, 0.0, 1.0, 0.0, 1.0, 0.0, inf, inf, 0.5])
    np.testing.assert_array_equal(ratio(found, expected, bound), [0, 2, 0, inf, 0, inf, inf, 0, 0, 2])
    assert ratio(np.float16([1.5]), np.float64([1.0]), np.array([0.25])) == 2


def test_the_reference_by_profile(rng):
    x, w = rng.standard_normal((2, 3)).astype("float32"), rng.standard_normal((4, 3)).astype("float32")
    y, grads = reference("linear", [x, w], {}, np.ones((2, 4)))
    assert y.dtype == grads["x"].dtype == np.float64
    assert grads["bias"] is None
    assert reference("linear", {"x": x, "weight": w}, profile="float64")[0].dtype == np.longdouble


# --- what is vacuous, what overflows, what is not finite -------------------------------------------------------------


def test_sums_of_many_terms_in_float16_are_vacuous(rng):
    x, w = (np.abs(rng.standard_normal((2, 3000))).astype("float16") / 8 for _ in "xw")
    for profile, vacuous in (("float16-accumulate", True), ("float16", False)):
        bounds = error_bound("linear", [x, w], {}, np.ones((2, 2), dtype="float16"), profile)
        assert bounds.vacuous["output"].all() == vacuous
        assert not bounds.vacuous["x"].any()  # of two terms
    assert np.isinf(error_bound("linear", [x, w], profile="float16-accumulate").output).all()  # 3000 u > 1


def test_of_an_exact_zero_no_bound_is_vacuous():
    bounds = error_bound("cross_entropy", [np.float32([[3.0]]), np.array([0])], {}, np.array(1.0))
    assert bounds.reference[1]["x"].item() == 0
    assert bounds.output > 0
    assert not bounds.vacuous["x"].any()


def test_what_float16_cannot_hold(rng):
    """Beyond the largest number infinity is right, and so is any number before it."""
    x = np.float16([[60000.0, 60000.0], [1.0, 1.0]])
    w = np.float16([[1.0, 1.0]])
    bounds = error_bound("linear", [x, w], {}, np.float16([[1.0], [1.0]]), "float16")
    assert np.isinf(bounds.output).tolist() == [[True], [False]]
    assert ratio(ops.linear(x, w), bounds.reference[0], bounds.output).max() <= 1


def test_nan_and_infinity_are_the_same(rng):
    x, w = rng.standard_normal((2, 3, 6, 6)), rng.standard_normal((4, 3, 3, 3))
    x[0, 0, 0, 0], x[1, 1, 5, 5] = np.nan, np.inf
    x, w = x.astype("float32"), w.astype("float32")
    bounds = error_bound("conv2d", [x, w])
    finite = np.isfinite(bounds.reference[0])
    assert (~finite).sum() == 8
    assert (bounds.output[~finite] == 0).all()
    assert np.isfinite(bounds.output).all()
    assert ratio(ops.conv2d(x, w), bounds.reference[0], bounds.output).max() <= 1
    assert np.isinf(ratio(ops.conv2d(-x, -w) + x[1, 1, 5, 5], bounds.reference[0], bounds.output)).any()


def test_zero_by_zero_may_be_anything():
    x = np.full((4, 1), 0.1, dtype="float32")
    assert np.isinf(error_bound("batch_norm", [x], {"training": True, "eps": 0}).output).all()


def test_a_masked_class_leaves_the_others_bounded():
    x = np.float32([[1.0, -np.inf, 2.0], [0.5, -np.inf, -np.inf]])
    bounds = error_bound("cross_entropy", [x, np.array([2, 0])], {}, np.array(1.0))
    assert 0 < bounds.output < 1e-5
    assert (bounds.grads["x"] < 1e-5).all()


@pytest.mark.parametrize("value", [np.inf, 0.5, 1 / 3])
def test_the_value_of_a_border(value):
    x = np.ones((1, 2, 2), dtype="float32")
    bounds = error_bound("pad2d", [x], {"padding": 1, "value": value})
    assert (bounds.output[:, 1:-1, 1:-1] == 0).all()
    assert (bounds.output[:, 0] == 0).all() == (value == np.inf)
    assert ratio(ops.pad2d(x, padding=1, value=value), bounds.reference[0], bounds.output).max() <= 1


# --- where several answers are right ---------------------------------------------------------------------------------


def test_the_slope_of_relu_at_zero():
    x, dy = np.float32([-1.0, 0.0, 2.0]), np.float32([5.0, -3.0, 4.0])
    bounds = error_bound("relu", [x], {}, dy)
    np.testing.assert_array_equal(bounds.choices["x"].allowance, [0, 3, 0])
    assert "subgradient" in bounds.choices["x"].rule
    assert error_bound("relu", [x]).choices == {}


def test_ties_of_max_pooling():
    """The last of the tied pixels, or all of them, are another convention; a pixel that is no maximum is a mistake."""
    x = np.float32([[[1.0, 2.0, 2.0], [0.0, 2.0, 1.0], [7.0, 3.0, np.nan]]])
    dy = np.float32([[[10.0, 20.0], [30.0, 40.0]]])
    options = {"kernel_size": 2, "stride": 1}
    bounds = error_bound("max_pool2d", [x], options, dy)
    # the windows above hold ties (at [0, 1] and [1, 1]; at [0, 1], [0, 2] and [1, 1]), those below do not
    np.testing.assert_array_equal(bounds.choices["x"].allowance, [[[0, 30, 20], [0, 30, 0], [0, 0, 0]]])
    assert error_bound("max_pool2d", [x], options).choices == {}


def test_coordinates_of_nearest_that_may_be_rounded_down(rng):
    """Output 5 of 3 pixels scaled by 1.666... looks at 5 * 0.6 = 3 exactly, or a little before."""
    x, dy = rng.standard_normal((1, 7, 2)).astype("float32"), rng.standard_normal((1, 11, 2)).astype("float32")
    bounds = error_bound("upsample_nearest2d", [x], {"scale_factor": (5 / 3, 1)}, dy)
    offs = bounds.choices["output"].allowance
    assert set(np.flatnonzero(offs.any(axis=(0, 2)))) == {5, 10}
    np.testing.assert_allclose(offs[0, 5], np.abs(x[0, 3] - x[0, 2]))
    assert (bounds.choices["x"].allowance[0, [2, 3]] >= np.abs(dy[0, 5])).all()
    assert set(error_bound("upsample_nearest2d", [x], {"scale_factor": (5 / 3, 1)}).choices) == {"output"}
    assert error_bound("upsample_nearest2d", [x], {"size": (6, 2)}, dy[:, :6]).choices == {}


def test_a_case_is_accepted_as_it_is():
    case = Case({"arrays": (np.ones((1, 2)), np.ones((1, 3)))}, {"axis": -1})
    bounds = error_bound("concat", *case, np.ones((1, 5)))
    assert [part.shape for part in bounds.grads["arrays"]] == [(1, 2), (1, 3)]
    assert not any(part.any() for part in bounds.grads["arrays"])
