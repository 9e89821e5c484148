"""gradcheck: what it accepts, what it says, and that it sees what there is to see."""

import json
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unet_ref
from unet_ref import gradcheck, ops
from unet_ref.check.duals import as_fractions
from unet_ref.check.report import BLIND, FAILS, KINK


def cube(x):
    return x**3


def cube_backward(grad_output, x):
    return 3 * grad_output * x**2


class Gradients(NamedTuple):
    b: object
    a: object


@pytest.fixture
def pair(rng):
    return rng.standard_normal((3, 4)), rng.standard_normal((4, 2))


def product(a, b):
    return a @ b


def arguments(report):
    return [row.argument for row in report.failures]


# --- what backward may return ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backward",
    [
        lambda g, a, b: (g @ b.T, a.T @ g),
        lambda g, a, b: [g @ b.T, a.T @ g],
        lambda g, a, b: {"b": a.T @ g, "a": g @ b.T},
        lambda g, a, b: Gradients(a.T @ g, g @ b.T),
    ],
    ids=["tuple", "list", "dict", "named tuple"],
)
def test_gradients_by_position_and_by_name(backward, pair):
    report = gradcheck(product, backward, *pair)
    assert report, report
    assert [row.argument for row in report.rows if row.argument != "all"] in (["a", "b"], ["b", "a"])


def test_gradients_of_a_function_with_star_arguments(pair):
    report = gradcheck(lambda *arrays: arrays[0] @ arrays[1], lambda g, *arrays: (g @ arrays[1].T, None), *pair)
    assert report, report
    assert [(row.argument, row.verdict) for row in report.rows[4:] if row.argument != "all"] == [
        ("arg1", "none"),
        ("arg0", "holds"),
    ]
    assert not gradcheck(lambda *arrays: arrays[0] @ arrays[1], lambda g, *arrays: (g @ arrays[1].T, arrays[1]), *pair)


def test_names(rng):
    x = rng.standard_normal(5)
    report = gradcheck(np.multiply, lambda g, a, b: (g * b, g * a), x, x + 1, names=["left", "right"])
    assert report
    assert {row.argument for row in report.rows} == {"all", "left", "right"}
    # max has no signature
    assert {row.argument for row in gradcheck(max, lambda g, x: g * (x == x.max()), x).rows} == {"all", "arg0"}


def test_integers_and_absent_arrays_are_passed_on(rng):
    logits, target = rng.standard_normal((5, 3)), rng.integers(0, 3, 5)
    assert gradcheck(ops.cross_entropy, ops.cross_entropy_backward, logits, target)
    weight = rng.standard_normal((2, 3))
    assert gradcheck(ops.linear, ops.linear_backward, logits, weight, None)


def test_a_gradient_for_an_integer_array_is_refused(rng):
    report = gradcheck(
        ops.cross_entropy, lambda g, x, target: (ops.cross_entropy_backward(g, x, target).x, g), rng.standard_normal((4, 3)),
        rng.integers(0, 3, 4),
    )  # fmt: skip
    assert "target has no derivative, but a gradient" in report.failures[0].detail


def test_errors_of_backward_come_through(pair):
    def backward(grad_output, a, b):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        gradcheck(product, backward, *pair)


def test_forward_must_return_one_floating_array(rng):
    x = rng.standard_normal(3)
    with pytest.raises(TypeError, match=r"^gradcheck: forward must return one floating array, got tuple"):
        gradcheck(lambda x: (x, x), cube_backward, x)
    with pytest.raises(TypeError, match=r"^gradcheck: forward must return one floating array, got ndarray"):
        gradcheck(lambda x: x > 0, cube_backward, x)


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, r"method \('magic'\) must be one of 'auto', 'complex', 'differences', 'exact'"),
        ({"batch": 3}, r"batch \(3\) must be 'auto' or 'never'"),
        ({"names": ("x", "y")}, r"names has 2 entries for 1 arrays"),
        ({"directions": 0}, r"directions \(0\) must be at least 1"),
    ],
)
def test_options_that_make_no_sense(options, message, rng):
    with pytest.raises(ValueError, match="^gradcheck: " + message):
        gradcheck(cube, cube_backward, rng.standard_normal(3), **options)


def test_points_that_make_no_sense(rng):
    with pytest.raises(ValueError, match=r"^gradcheck: x holds NaN or infinity"):
        gradcheck(cube, cube_backward, np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match=r"^gradcheck: none of the arguments is an array of floating dtype"):
        gradcheck(cube, cube_backward, np.arange(3))


@pytest.mark.parametrize(
    ("method", "label"), [("auto", "complex step"), ("complex", "complex step"), ("differences", "differences: step")]
)
def test_methods(method, label, rng):
    report = gradcheck(cube, cube_backward, rng.standard_normal((2, 3)), method=method)
    assert report.rows[-1].method.startswith(label)
    assert report.rows[-1].elements == 6


def test_affine_arguments_are_found_and_may_be_declared(pair):
    def backward(g, a, b):
        return g @ b.T, a.T @ g

    for options in ({}, {"affine": ("a", "b")}):
        report = gradcheck(product, backward, *pair, **options)
        assert {row.method for row in report.rows[-2:]} == {"affine: step 1"}
        assert report.rows[-1].bound < 1e-12


def test_declared_affine_and_is_not(rng):
    """Then the two sides disagree, and another technique takes over."""
    report = gradcheck(cube, cube_backward, rng.standard_normal(5), affine=("x",))
    assert report.rows[-1].method == "complex step"
    assert report


def test_large_arguments_along_random_directions(rng):
    report = gradcheck(cube, cube_backward, rng.standard_normal(40), every=39)
    assert report
    assert (report.rows[-1].elements, report.rows[-1].method) == (32, "complex step, random")

    def wrong(grad_output, x):
        gradient = cube_backward(grad_output, x)
        gradient[7] *= 1.0005
        return gradient

    report = gradcheck(cube, wrong, rng.standard_normal(40), every=39)
    assert "x along direction" in report.failures[0].detail


def test_a_generator_as_seed(rng):
    x = rng.standard_normal(4)
    one, two = (gradcheck(cube, cube_backward, x, rng=np.random.default_rng(3)).rows for _ in "ab")
    assert one == two != gradcheck(cube, cube_backward, x, rng=4).rows


def test_lazy_and_light():
    assert unet_ref.gradcheck is gradcheck
    with pytest.raises(AttributeError, match="module 'unet_ref' has no attribute 'gradchek'"):
        _ = unet_ref.gradchek


# --- the report --------------------------------------------------------------------------------------------------


def test_the_report_fits_a_terminal_and_is_data(rng):
    def wrong(grad_output, x, weight, bias):
        return ops.conv2d_backward(grad_output, x, weight, bias)._replace(weight=0 * weight)

    arrays = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 2, 3)), rng.standard_normal(4)
    report = gradcheck(ops.conv2d, wrong, *arrays)
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["argument", "method", "elements", "error", "bound", "verdict"]
    assert "FAILS" in str(report)
    assert arguments(report) == ["weight"]
    assert not report
    document = json.loads(json.dumps(report.to_json()))
    assert document["holds"] is False
    assert [row["argument"] for row in document["rows"]] == [row.argument for row in report.rows]


def test_exact_rows_say_exact(rng):
    report = gradcheck(ops.relu, ops.relu_backward, rng.standard_normal((2, 3)), method="exact")
    assert str(report).splitlines()[-1].split() == ["x", "dual", "numbers", "6", "exact", "exact", "holds"]


def test_exact_rows_of_a_wrong_gradient(rng):
    x = rng.standard_normal((2, 3))

    def wrong(grad_output, x):
        gradient = 3 * grad_output * x**2
        gradient[1, 2] *= 2 if x.dtype != object else Fraction(2001, 2000)
        gradient[0, 0] += 0 if x.dtype != object else Fraction(1, 10**30)
        return gradient

    report = gradcheck(cube, wrong, x, method="exact")
    assert report.failures[0].detail.startswith("x[0, 0]: gradient ")
    assert report.failures[0].detail.endswith("off by 1e-30 (2 fail)")
    report = gradcheck(cube, wrong, as_fractions(x), directions=2)
    assert "x: gradient" in report.failures[0].detail
    assert report.failures[0].elements == 2


def test_exact_needs_exact_functions(rng):
    with pytest.raises(ArithmeticError, match="is not rational"):
        gradcheck(ops.sigmoid, ops.sigmoid_backward, rng.standard_normal(3), method="exact")


def test_exact_checks_the_behaviour_too(rng):
    x = as_fractions(rng.standard_normal(3))

    def greedy(grad_output, x):
        grad_output *= 2
        return 3 * grad_output * x**2

    assert gradcheck(cube, greedy, x).failures[0].detail == "grad_output was changed"
    assert gradcheck(cube, lambda g, x: None, x).rows[-1].verdict == "none"


def test_an_exact_coordinate_that_moves_an_unexpected_output(rng):
    """Too far from the kink for the float to show it: then the coordinate is looked at alone."""
    x = as_fractions(rng.standard_normal(4))
    tiny = Fraction(1, 10**20)
    assert gradcheck(lambda x: x**2 + tiny * np.roll(x, 1), lambda g, x: 2 * x * g + tiny * np.roll(g, -1), x)
    assert not gradcheck(lambda x: x**2 + tiny * np.roll(x, 1), lambda g, x: 2 * x * g, x)


def test_results_may_share_memory_where_that_is_said(rng):
    x, other = rng.standard_normal(3), rng.standard_normal(3)

    def backward(grad_output, x, other):
        return grad_output, grad_output

    report = gradcheck(np.add, backward, x, other, names=["x", "other"])
    assert "the gradient of x shares memory with grad_output" in report.failures[0].detail
    assert gradcheck(np.add, backward, x, other, aliasing=True)


# --- sight -------------------------------------------------------------------------------------------------------

LAYER = (2, 4, 6, 5), (3, 4, 2, 3), (3,)


@settings(max_examples=30)
@given(
    argument=st.integers(0, 2), where=st.floats(0, 1, exclude_max=True), seed=st.integers(0, 99),
    method=st.sampled_from(["auto", "complex", "differences"]),
)  # fmt: skip
def test_a_mistake_of_one_coordinate_is_seen_and_named(argument, where, seed, method):
    """5e-4 of that coordinate, wherever it is."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in LAYER]
    index = tuple(int(i) for i in np.unravel_index(int(where * arrays[argument].size), LAYER[argument]))

    def wrong(grad_output, *given):
        grads = ops.conv2d_backward(grad_output, *given)
        grads[argument][index] *= 1 + 5e-4
        return grads

    report = gradcheck(ops.conv2d, wrong, *arrays, rng=seed, method=method)
    name = ("x", "weight", "bias")[argument]
    assert arguments(report) == [name]
    assert report.failures[0].detail.startswith(f"{name}{list(index)}: gradient ")


def test_a_mistake_in_a_loss(rng):
    """One output that everything shares: no grouping, no stacking."""
    x, target = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    assert gradcheck(ops.mse_loss, ops.mse_loss_backward, x, target)

    def wrong(grad_output, x, target):
        grads = ops.mse_loss_backward(grad_output, x, target)
        grads.target[2, 1] *= 1 - 5e-4
        return grads

    assert "target[2, 1]" in gradcheck(ops.mse_loss, wrong, x, target).failures[0].detail


def test_a_gradient_that_misses_an_unused_output(rng):
    """y[1] depends on x[0] too, a little: an output that none of the group was thought to own."""
    x = rng.standard_normal(6)

    def forward(x):
        return x**2 + 1e-3 * np.roll(x, 1) ** 2

    def backward(grad_output, x):
        return 2 * x * grad_output

    report = gradcheck(forward, backward, x)
    assert arguments(report) == ["x"]


def test_one_number_and_none_at_all():
    x = np.array(0.7)
    assert gradcheck(cube, cube_backward, x)
    assert gradcheck(cube, cube_backward, np.float64(0.7))
    assert not gradcheck(cube, lambda g, x: np.asarray(2.9 * g * x**2), x)
    report = gradcheck(cube, cube_backward, np.zeros((0, 3)))
    assert report
    assert report.rows[-1].elements == 0


# --- forward passes that a complex step cannot take ----------------------------------------------------------------


def absolute_cube(x):
    return np.abs(x) * x * x


def absolute_cube_backward(grad_output, x):
    return 3 * grad_output * np.abs(x) * x


def test_a_function_that_is_not_analytic(rng):
    x = rng.standard_normal(9)
    assert gradcheck(absolute_cube, absolute_cube_backward, x).rows[-1].method.startswith("differences")
    report = gradcheck(absolute_cube, absolute_cube_backward, x, method="complex")
    assert "forward gives no derivative by a complex step in x" in report.failures[0].detail


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: np.array(x, dtype=float) ** 3,  # throws the imaginary part away
        lambda x: np.array([float(v) ** 3 for v in x]),  # refuses it
        lambda x: x.real**3,
        lambda x: x**3 + x.imag**2 * 0 + (x.imag != 0),  # another value for complex numbers
    ],
    ids=["throws away", "refuses", "real parts", "other values"],
)
def test_functions_that_do_not_take_complex_numbers(forward, rng):
    report = gradcheck(forward, cube_backward, rng.standard_normal(4))
    assert report, report
    assert report.rows[-1].method.startswith("differences")


def test_a_function_that_is_not_analytic_in_one_place(rng):
    """Found by the differences that watch over the complex step; there they decide."""
    x = rng.standard_normal(60)

    def forward(x):
        y = x**3
        y[7] = x[7] * x[7].real ** 2
        return y

    report = gradcheck(forward, cube_backward, x)
    assert report, report
    assert report.rows[-1].method == "complex step"


# --- kinks and ties ----------------------------------------------------------------------------------------------


def relu(x):
    return np.where(x.real > 0, x, 0 * x)


def relu_backward(grad_output, x):
    return np.where(x > 0, grad_output, 0)


@pytest.mark.parametrize("method", ["auto", "complex", "differences"])
def test_a_kink_is_found_and_said(method, rng):
    x = rng.standard_normal((2, 4, 3))
    x[1, 3, 2] = 0.0
    x[0, 1, 1] = 1e-9  # near one, and not at it
    report = gradcheck(relu, relu_backward, x, method=method)
    assert report, report
    (kink,) = report.kinks
    assert (kink.elements, kink.verdict) == (1, KINK)
    assert kink.detail.startswith("kink at x[1, 3, 2]: no derivative there")
    assert report.rows[-2].elements == x.size - 1


@pytest.mark.parametrize("method", ["auto", "differences"])
def test_the_middle_of_two_slopes_does_not_pass_silently(method, rng):
    x = rng.standard_normal(12)
    x[5] = 0.0
    report = gradcheck(relu, lambda g, x: g * np.where(x == 0, 0.5, x > 0), x, method=method)
    assert "kink at x[5]" in report.kinks[0].detail


def test_a_gradient_outside_of_both_slopes_is_wrong(rng):
    x = rng.standard_normal(12)
    x[5] = 0.0
    report = gradcheck(relu, lambda g, x: g * np.where(x == 0, -0.01, x > 0), x)
    assert "x[5]" in report.failures[0].detail


def test_kinks_everywhere_leave_nothing_to_decide():
    report = gradcheck(relu, relu_backward, np.zeros((2, 3)))
    assert not report
    assert [row.verdict for row in report.rows[-2:]] == [BLIND, KINK]
    assert report.kinks[0].detail.startswith("kink at x[0, 0], x[0, 1], x[0, 2], x[1, 0] ...: no derivative")


def test_ties_of_a_max_pool(rng):
    x = rng.standard_normal((1, 2, 4, 6))
    x[0, 1, 2, 4] = x[0, 1, 3, 5] = 3.0
    report = gradcheck(
        lambda x: ops.max_pool2d(x, kernel_size=2), lambda g, x: ops.max_pool2d_backward(g, x, kernel_size=2), x
    )
    assert report
    assert report.kinks[0].elements == 2
    assert "kink at x[0, 1, 2, 4], x[0, 1, 3, 5]:" in report.kinks[0].detail


def test_a_kink_along_a_random_direction(rng):
    x = rng.standard_normal(30)
    x[4] = 0.0
    report = gradcheck(relu, relu_backward, x, method="differences", directions=3)
    assert not report  # all three go through it
    assert report.kinks[0].elements == 3
    assert "x along direction 0" in report.kinks[0].detail


# --- rounding ----------------------------------------------------------------------------------------------------


def test_rounding_that_hides_a_mistake_is_said(rng):
    report = gradcheck(lambda x: np.round(x.real**3, 6), cube_backward, rng.standard_normal(5))
    assert not report
    assert {row.verdict for row in report.failures} == {BLIND}
    assert "rounding in forward or backward hides a mistake of 0.05 % at x[" in report.failures[-1].detail


def test_slopes_that_are_next_to_nothing(rng):
    """Two values normalized are +1 and -1, whatever they were: the slope is what rounding leaves of 0."""
    x = 1e8 * rng.standard_normal((2, 3))
    report = gradcheck(
        lambda x: ops.batch_norm(x, training=True), lambda g, x: ops.batch_norm_backward(g, x, training=True).x, x
    )
    assert report, report
    assert report.rows[-1].detail.startswith("slopes are next to nothing here: error and bound are relative to ")


def test_a_function_that_computes_in_float32_is_judged_by_its_own_rounding(rng):
    def forward(x):
        return np.sin(x.real.astype(np.float32)).astype(np.float64)

    x = rng.standard_normal(20)
    assert FAILS not in {row.verdict for row in gradcheck(forward, lambda g, x: g * np.cos(x), x).rows}
    assert FAILS in {row.verdict for row in gradcheck(forward, lambda g, x: g * np.cos(x) * 1.01, x).rows}


def test_a_point_beside_the_edge_of_the_domain():
    """Steps that leave it give NaN, and smaller ones are taken."""
    x = np.array([1e-6, 0.3, 2.0])
    assert gradcheck(np.log, lambda g, x: g / x, x)
    assert gradcheck(lambda x: np.log(x.real), lambda g, x: g / x, x)
    assert not gradcheck(lambda x: np.log(x.real), lambda g, x: g / x * np.array([1, 1, 1.0005]), x)


def test_narrow_dtypes_beside_float64(rng):
    x = rng.standard_normal((3, 4)).astype("float32")
    assert gradcheck(cube, cube_backward, x)

    def coarse(grad_output, x):
        return cube_backward(grad_output, x) * x.dtype.type(1 + (x.dtype == np.float32) * 1e-5)

    report = gradcheck(cube, coarse, x)
    assert [row.method for row in report.failures] == ["float32 beside float64"]


def test_narrow_dtypes_may_overflow():
    x = np.array([300.0, 2.0, -0.5], dtype="float16")
    assert gradcheck(lambda x: x * x * x.dtype.type(100), lambda g, x: 200 * g * x, x)
