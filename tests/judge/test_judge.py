"""The judge of one result: no false alarm on what is right, every tier on what is not, and words for a person."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from check.test_error_bound_winograd import winograd
from hypothesis import given
from hypothesis import strategies as st

from unet_ref import judge as judging
from unet_ref import ops
from unet_ref.check.bounds import PROFILES
from unet_ref.check.table import OPERATIONS
from unet_ref.judge import assert_agrees, designed_case, designed_cases, judge
from unet_ref.judge.choice import interval
from unet_ref.judge.judge import on_host, verdict_on
from unet_ref.judge.ladder import Ladder
from unet_ref.judge.looser import stored
from unet_ref.judge.mistake import Arguments, Results, right
from unet_ref.judge.pattern import axis_names, constant_factor, pattern
from unet_ref.judge.rounding import rounded
from unet_ref.judge.statistics import Averages
from unet_ref.judge.verdict import Finding, TensorVerdict, Verdict

each_operation = pytest.mark.parametrize("name", OPERATIONS)


def drawn(name, seed, dtype="float32"):
    """Random arguments as a candidate would get them."""
    rng = np.random.default_rng(seed)
    case = OPERATIONS[name].draw(rng).map(lambda a: np.asarray(a).astype(dtype))
    arguments = Arguments(name, dict(case.arrays), dict(case.options))
    if OPERATIONS[name].backward is not None:
        shape = right(arguments).output.shape
        arguments = arguments._replace(grad_output=np.asarray(rng.standard_normal(shape)).astype(dtype))
    return arguments


def judged(arguments, results, profile="float32", **more):
    return verdict_on(arguments, results, profile, diagnosed=False, **more)


def changed(results, tensor="output", **how):
    """Results with one tensor copied and changed: ``times`` or ``plus`` everywhere, ``at`` one index by ``by``."""
    array = np.array(results.output if tensor == "output" else results.grads[tensor])
    if "times" in how:
        array = (array * how["times"]).astype(array.dtype)
    if "plus" in how:
        array = array + array.dtype.type(how["plus"])
    if "at" in how:
        array[how["at"]] += array.dtype.type(how.get("by", 1))
    if tensor == "output":
        return results._replace(output=array)
    return results._replace(grads=results.grads | {tensor: array})


def integers(rng, *shape):
    return (rng.integers(1, 9, shape) * rng.choice([-1, 1], shape)).astype("float32")


@pytest.fixture
def conv(rng):
    """Whole numbers, uneven sizes."""
    arrays = {"x": integers(rng, 2, 3, 6, 7), "weight": integers(rng, 4, 3, 3, 2), "bias": integers(rng, 4)}
    options = {"padding": (1, 0)}
    return Arguments("conv2d", arrays, options, integers(rng, 2, 4, 6, 6))


@pytest.fixture
def real_conv(rng):
    """Numbers with all their digits, many products in a sum."""
    arrays = {"x": rng.standard_normal((2, 32, 6, 5)), "weight": rng.standard_normal((8, 32, 3, 3)), "bias": None}
    dy = rng.standard_normal((2, 8, 6, 5))
    return Arguments("conv2d", arrays, {"padding": 1}, dy).map(lambda a: a.astype("float32"))


# --- what is right --------------------------------------------------------------------------------------------------


@each_operation
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_reference_itself_is_right_on_all_designed_cases(name, dtype):
    for case in designed_cases(name, dtype):
        verdict = judged(case.arguments, right(case.arguments), dtype)
        assert verdict.ok, f"{case.label}\n{verdict}"
        if {t.tensor for t in verdict.tensors} <= case.exact:
            assert (verdict.verdict, verdict.tier) == ("exact", "exact"), case.label


@each_operation
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "float64", "float16"]))
def test_no_false_alarm_on_random_arguments(name, seed, dtype):
    arguments = drawn(name, seed, dtype)
    verdict = judged(arguments, right(arguments), dtype)
    assert verdict.verdict in ("exact", "within rounding", "vacuous"), str(verdict)
    assert dtype == "float16" or verdict.verdict != "vacuous", str(verdict)


@each_operation
def test_more_digits_than_asked_for_are_right(name):
    """A result in float64 for arguments in float32."""
    arguments = drawn(name, 3)
    assert judged(arguments, right(arguments.map(lambda a: a.astype("float64")))).ok


def test_sums_in_another_order_are_right(real_conv):
    flipped = real_conv.with_arrays(**{k: real_conv.arrays[k][:, ::-1] for k in ("x", "weight")})
    verdict = judged(real_conv, Results(right(flipped).output, {}))
    assert (verdict.verdict, verdict.tier) == ("within rounding", "bound")


def test_nan_and_infinity_are_equal_where_pytorch_says_so():
    x = np.array([np.nan, np.inf, -np.inf, 0.0], "float32")
    assert judge("relu", [x], {}, np.array([np.nan, np.inf, 0.0, -0.0], "float32")).ok
    for wrong in ([0, np.inf, 0, 0], [np.nan, -np.inf, 0, 0], [np.nan, 3e38, 0, 0], [np.nan, np.inf, np.nan, 0]):
        assert judge("relu", [x], {}, np.array(wrong, "float32")).verdict == "bug"


def test_welford_is_rounding_and_one_pass_is_named():
    case = designed_case("group_norm", "mean 1,000, spread 4")
    verdict = judged(case.arguments, Results(_norm(case.arguments, one_pass=False), {}))
    assert verdict.ok
    verdict = judged(case.arguments, Results(_norm(case.arguments, one_pass=True), {}))
    assert (verdict.verdict, verdict.tier, verdict.ok) == ("looser arithmetic", "bound", False)
    assert verdict.tensors[0].arithmetic == "float32, variance in one pass"
    assert "this is float32, variance in one pass" in str(verdict)


def _norm(arguments, *, one_pass):
    """In float32; by Welford's updates, or the mean square minus the squared mean."""
    x, G, f = arguments.arrays["x"], arguments.options["num_groups"], np.float32
    rows = x.reshape(x.shape[0] * G, -1)
    if one_pass:
        mean = rows.mean(1, dtype=f)
        variance = (rows * rows).mean(1, dtype=f) - mean * mean
    else:
        mean, total = np.zeros(len(rows), f), np.zeros(len(rows), f)
        for k in range(rows.shape[1]):
            delta = rows[:, k] - mean
            mean = mean + delta / f(k + 1)
            total = total + delta * (rows[:, k] - mean)
        variance = total / f(rows.shape[1])
    xhat = ((rows - mean[:, None]) / np.sqrt(variance + f(1e-5))[:, None]).reshape(x.shape)
    by_channel = [arguments.arrays[k].reshape(1, -1, 1, 1) for k in ("weight", "bias")]
    return xhat * by_channel[0] + by_channel[1]


# --- tier 1: exact --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", ["output", "x", "weight", "bias"])
def test_one_wrong_element_of_exact_data_is_a_proven_bug(conv, tensor):
    results = right(conv)
    index = tuple(n - 1 for n in results.tensors()[tensor].shape)
    verdict = judged(conv, changed(results, tensor, at=index))
    assert (verdict.verdict, verdict.tier, verdict.ok) == ("bug", "exact", False)
    (finding,) = verdict.findings
    assert (finding.tensor, finding.index, finding.error, finding.wrong) == (tensor, index, 1.0, 1)
    assert (finding.bound, finding.ratio) == (0, np.inf)
    assert "their sums cannot be rounded" in str(verdict)


@pytest.mark.parametrize("factor", [1 + 2e-6, 1.001, 2.0])
def test_a_factor_on_exact_data_is_a_bug_however_near_to_one(conv, factor):
    verdict = judged(conv, changed(right(conv), times=factor))
    assert (verdict.verdict, verdict.tier) == ("bug", "exact"), str(verdict)


def test_small_errors_without_a_factor_on_exact_data_are_not_those_of_a_direct_sum(conv, rng):
    y = right(conv).output
    noise = rng.uniform(-1, 1, y.shape) * 5e-6 * np.abs(y).max()
    verdict = judged(conv, Results((y + noise).astype("float32"), {}))
    assert (verdict.verdict, verdict.tier) == ("looser arithmetic", "exact")
    assert "FFT" in verdict.tensors[0].arithmetic
    verdict = judged(conv, Results((y + noise / 100).astype("float32"), {}))
    assert (verdict.verdict, verdict.tier) == ("within rounding", "bound")
    verdict = judged(conv, Results((y + 1000 * noise).astype("float32"), {}))
    assert verdict.verdict == "bug"


def test_a_result_stored_in_16_bits_is_recognised(conv):
    y = right(conv).output
    verdict = judged(conv, Results(rounded(y, 8).astype("float32"), {}))
    assert (verdict.verdict, verdict.tensors[0].arithmetic) == ("looser arithmetic", "bfloat16")
    assert verdict_on(conv, Results(rounded(y, 8).astype("float32"), {}), "bfloat16").verdict == "exact"
    halves = conv.map(lambda a: 1.5 * a)
    y = right(halves).output
    assert (
        judged(halves, Results((y + 2 * (np.arange(y.size).reshape(y.shape) == 7)).astype("float32"), {})).verdict
        == "bug"
    )


def test_tf32_is_no_excuse_where_factors_have_few_digits(conv):
    y = right(conv).output
    off = y + np.where(np.arange(y.size).reshape(y.shape) % 2, 1e-2, -1e-2) * np.abs(y) * np.linspace(
        0.1, 1, y.shape[-1]
    )
    assert judged(conv, Results(off.astype("float32"), {})).verdict == "bug"


# --- tier 2: bounds -------------------------------------------------------------------------------------------------


@each_operation
def test_a_result_off_by_a_hundredth_is_a_bug(name):
    arguments = drawn(name, 5)
    results = right(arguments)
    if isinstance(results.output, tuple):
        results = results._replace(output=tuple(1.01 * part for part in results.output))
    else:
        results = results._replace(output=np.asarray(results.output * np.float32(1.01)))
    verdict = judged(arguments, results)
    assert verdict.verdict == "bug", str(verdict)


def test_tf32_and_bfloat16_factors_are_recognised(real_conv):
    for bits, title in ((11, "float32, factors rounded to TF32"), (8, "float32, factors rounded to bfloat16")):
        short = real_conv.map(lambda a, bits=bits: rounded(a, bits).astype("float32"))
        verdict = judged(real_conv, right(short))
        assert verdict.verdict in ("looser arithmetic", "within rounding")
        if bits == 8:
            assert {t.arithmetic for t in verdict.tensors if t.verdict == "looser arithmetic"} == {title}
        assert judged(real_conv, right(short), "tf32" if bits == 11 else "float32-bfloat16").ok


def test_winograd_is_recognised(rng):
    """With few channels it is outside the bound of direct sums; with a wrong last row it is a bug all the same."""
    x, weight = (
        rng.standard_normal((1, 1, 34, 30)).astype("float32"),
        rng.standard_normal((3, 1, 3, 3)).astype("float32"),
    )
    y = winograd(4, x, weight, ((0, 0), (0, 0)))
    (verdict,) = judge("conv2d", [x, weight], {}, y).tensors
    assert verdict.verdict == "looser arithmetic"
    assert verdict.arithmetic.startswith("float32, Winograd F(")
    y[..., -1, :] *= np.float32(1.001)
    assert judge("conv2d", [x, weight], {}, y).verdict == "bug"


def test_a_bug_does_not_hide_in_a_looser_arithmetic(real_conv):
    """A row off by less than bfloat16's factors explain: those would have left no element alone."""
    results = right(real_conv)
    y = np.array(results.output)
    y[..., -1, :] *= 1.004
    verdict = judged(real_conv, Results(y, {}))
    assert verdict.verdict == "bug"
    assert any("the last row (5)" in fact for fact in verdict.findings[0].pattern)


def test_float64_in_float32_is_recognised(rng):
    arguments = drawn("group_norm", 8, "float64")
    short = right(arguments.map(lambda a: a.astype("float32")))
    verdict = judged(arguments, short, "float64")
    assert {t.arithmetic for t in verdict.tensors if t.verdict == "looser arithmetic"} == {"float32"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "formula", [lambda x: 0.5 * np.tanh(x / 2) + 0.5, lambda x: 1 - 1 / (1 + np.exp(x))], ids=["tanh", "from one"]
)
def test_a_sigmoid_near_one_half_in_absolute_terms_is_looser_arithmetic(rng, dtype, formula):
    """ONNX Runtime's: far below 0, where it is small, few of its digits are right, and then none."""
    x = np.concatenate([5 * rng.standard_normal(40) - 8, [-100.0]]).astype(dtype)
    y = formula(x).astype(dtype)
    assert y[-1] == 0
    (verdict,) = judge("sigmoid", [x], {}, y, profile=dtype).tensors
    assert (verdict.verdict, verdict.tier) == ("looser arithmetic", "bound")
    assert verdict.arithmetic == f"{dtype}, sigmoid from a tanh or a fit as exact as one"
    for wrong in (np.where(x < -17, 0, ops.sigmoid(x)), 1.001 * y):
        assert judge("sigmoid", [x], {}, wrong.astype(dtype), profile=dtype).verdict == "bug"


def test_a_gradient_through_a_tanh_is_looser_arithmetic(rng):
    x, dy = (9 * rng.standard_normal((3, 8)).astype("float32") - np.float32(6) for _ in "xy")
    t = np.tanh(x[:, 4:] / 2)
    s, dy = t / 2 + np.float32(0.5), dy[:, :4]
    grads = {"x": np.concatenate([dy * s, dy * x[:, :4] * (1 - t * t) / 4], axis=1)}
    verdict = judge("glu", [x], {}, x[:, :4] * s, dy, grads)
    assert [t.verdict for t in verdict.tensors] == ["looser arithmetic"] * 2, verdict
    grads["x"][1, 2] *= np.float32(1.001)
    assert judge("glu", [x], {}, x[:, :4] * s, dy, grads).verdict == "bug"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_subnormal_numbers_taken_as_zero_are_looser_arithmetic(dtype):
    """ReLU as XLA has it on CPUs: it reads 6e-45 as 0. Nothing else hides behind that."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([[[-1.5, tiny, 4 * tiny, 2.5, -tiny]]], dtype)
    arguments = Arguments("relu", {"x": x}, {}, np.array([[[0.5, 3, -2, 0.25, 7]]], dtype))
    results = right(arguments.with_arrays(x=np.where(abs(x) < 1e-30, 0, x).astype(dtype)))
    verdict = judged(arguments, results, dtype)
    assert verdict.verdict == "looser arithmetic"
    assert {t.arithmetic for t in verdict.tensors} == {f"{dtype}, subnormal numbers taken as zero"}
    assert "subnormal numbers taken as zero" in " ".join(str(verdict).split())
    assert judged(arguments, changed(results, at=(0, 0, 3)), dtype).verdict == "bug"
    assert judged(arguments, results._replace(output=results.output[..., 1:]), dtype).verdict == "bug"
    assert judged(arguments, right(arguments), dtype).verdict == "exact"


def test_constants_in_float32_are_looser_arithmetic(rng):
    """Gelu of ONNX Runtime and onnx.reference in float64; a constant with a wrong digit is a bug."""
    x = rng.standard_normal((4, 9))

    def gelu(k):
        return x / 2 * (1 + np.tanh(float(np.float32(np.sqrt(2 / np.pi))) * (x + k * x**3)))

    verdict = judge("gelu", [x], {"approximate": "tanh"}, gelu(float(np.float32(0.044715))), profile="float64")
    assert verdict.tensors[0].arithmetic == "float64, constants in float32"
    assert judge("gelu", [x], {"approximate": "tanh"}, gelu(0.0447), profile="float64").verdict == "bug"


@pytest.mark.parametrize("name", ["batch_norm", "group_norm"])
@pytest.mark.parametrize(("profile", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_statistics_in_16_bits_are_looser_arithmetic(name, profile, bits):
    """What PyTorch's norms do with bfloat16 on the CPU; a wrong scale is a bug there as everywhere."""
    case = designed_case(name, "mean -30, spread 0.5", profile).arguments
    (verdict,) = judged(case, Results(_in_few_digits(case, bits), {}), profile).tensors
    named = f"{profile}, intermediate results stored in it"
    assert (verdict.verdict, verdict.arithmetic) == ("looser arithmetic", named)
    x = rounded(np.random.default_rng(3).standard_normal(case.arrays["x"].shape), bits)
    near = case.with_arrays(x=x.astype(case.arrays["x"].dtype))
    assert judged(near, Results(_in_few_digits(near, bits), {}), profile).verdict != "bug"
    assert judged(near, Results(_in_few_digits(near, bits, scale=2), {}), profile).verdict == "bug"


def _in_few_digits(arguments, bits, scale=1.0):
    """A norm whose mean and reciprocal root are rounded to so many bits, and its results."""
    (x, w, b), options = (arguments.arrays[key].astype("float64") for key in ("x", "weight", "bias")), arguments.options
    grouped = arguments.name == "group_norm"
    sets, axes = (x.reshape(x.shape[0], options["num_groups"], -1), 2) if grouped else (x, (0, 2, 3))
    mean = rounded(sets.mean(axis=axes, keepdims=True), bits)
    root = rounded(1 / np.sqrt(sets.var(axis=axes, keepdims=True) + options.get("eps", 1e-5)), bits)
    y = ((sets - mean) * root).reshape(x.shape) * w[:, None, None] * scale + b[:, None, None]
    return rounded(y, bits).astype(arguments.arrays["x"].dtype)


@pytest.mark.parametrize(("profile", "verdict"), [("float16", "vacuous"), ("float32", "bug")])
def test_sums_of_65537_half_numbers_in_their_own_type(profile, verdict):
    """Nothing can be said of them: PyTorch's gradient of a float16 weight. In float32 it is a bug."""
    case = designed_case("conv2d", "65,537 samples", profile)
    results = right(case.arguments)
    weight = (results.grads["weight"].astype("float64") + 240).astype(profile)
    found = judged(case.arguments, results._replace(grads={"weight": weight}), profile)
    assert (found.verdict, found.ok) == (verdict, False)
    assert ("the bound of float16, sums in float16 too is larger" in " ".join(str(found).split())) is (
        verdict == "vacuous"
    )


def test_vacuous_is_never_a_pass(rng):
    """Sums of 4,096 terms in float16 alone."""
    x, weight = (rng.standard_normal(shape).astype("float16") for shape in ((3, 4096), (2, 4096)))
    y = np.array([[np.float16(0)] * 2] * 3)
    verdict = judge("linear", [x, weight], {}, y, profile="float16-accumulate")
    assert (verdict.verdict, verdict.ok) == ("vacuous", False)
    assert "cannot be judged" in str(verdict)
    assert judge("linear", [x, weight], {}, ops.linear(x, weight), profile="float16").ok


def test_a_nearest_pixel_that_rounding_chose_otherwise_is_right():
    """PyTorch computes the coordinate in float32: 9 * (1 / 1.8) stays below 5."""
    for scale in (1.8, 1.3, 2.1, 1.9):
        x = np.arange(40, dtype="float32").reshape(1, 1, 40) ** 2
        y = ops.upsample_nearest2d(x, scale_factor=(1, scale))
        ratio = np.float32(1 / scale)
        other = x[..., np.minimum((np.arange(y.shape[-1], dtype="float32") * ratio).astype(int), 39)]
        verdict = judge("upsample_nearest2d", [x], {"scale_factor": (1, scale)}, other)
        assert verdict.ok, f"{scale}: {verdict}"
        if (other != y).any():
            assert "Another right answer" in verdict.tensors[0].note
    moved = np.roll(y, 1, axis=-1)
    assert judge("upsample_nearest2d", [x], {"scale_factor": (1, 1.9)}, moved).verdict == "bug"


def test_ties_have_one_answer_and_the_rule_is_said():
    x = np.array([[[2.0, 2.0, 1.0, 2.0]]], "float32")
    dy = np.array([[[3.0, 5.0]]], "float32")
    options = {"kernel_size": (1, 2)}
    y, last = np.array([[[2.0, 2.0]]], "float32"), np.array([[[0.0, 3.0, 0.0, 5.0]]], "float32")
    verdict = judge("max_pool2d", [x], options, y, dy, [last])
    assert verdict.verdict == "bug"
    assert "Only where several answers are possible" in verdict.findings[0].pattern[0]
    assert judge("max_pool2d", [x], options, y, dy, [np.array([[[3.0, 0.0, 0.0, 5.0]]], "float32")]).ok


# --- sets of right answers ------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1))
def test_what_rounding_may_have_chosen_is_right_and_nothing_else(seed):
    """The candidate's own x is a little off; it chooses by that, and is right. Without the error known it is wrong."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (1, 2, 5, 6)).astype("float32")
    off = (x + rng.uniform(-1e-3, 1e-3, x.shape)).astype("float32")
    for name, options in (("max_pool2d", {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}), ("relu", {})):
        y = getattr(ops, name)(off, **options)
        dy = rng.standard_normal(y.shape).astype("float32")
        dx = getattr(ops, f"{name}_backward")(dy, off, **options).x
        assert judge(name, [x], options, y, dy, [dx], input_error=1e-3).ok
        assert judge(name, [x], options, y, dy, [1.5 * dx], input_error=1e-3).verdict == "bug"
        low, high = interval("x", Arguments(name, {"x": x}, options, dy), 0.0, PROFILES["float32"])
        exact = getattr(ops, f"{name}_backward")(dy, x, **options).x
        assert np.all((low - 1e-6 <= exact) & (exact <= high + 1e-6))


# --- tier 3: statistics ---------------------------------------------------------------------------------------------


def test_errors_that_lean_are_suspicious_and_not_more(real_conv):
    verdict = judged(real_conv, changed(right(real_conv), times=1 + 3e-6))
    assert (verdict.verdict, verdict.tier, verdict.ok) == ("within rounding", "statistics", True)
    assert "Suspicious: everything is 1.00000" in verdict.tensors[0].note


def test_tf32_within_the_bound_is_suspicious(rng):
    shapes = {"x": (40, 3000), "weight": (8, 3000)}
    arrays = {name: rng.standard_normal(shape).astype("float32") for name, shape in shapes.items()} | {"bias": None}
    arguments = Arguments("linear", arrays, {})
    short = arguments.map(lambda a: rounded(a, 11).astype("float32"))
    verdict = judged(arguments, right(short))
    assert (verdict.verdict, verdict.tier) == ("within rounding", "statistics")
    assert "as if factors were rounded to TF32" in str(verdict).replace("\n    ", " ")
    wide = arguments.map(lambda a: rounded(a, 13).astype("float32"))
    assert "rounded to" not in judged(arguments, right(wide)).tensors[0].note
    assert judged(arguments, right(arguments)).tier == "bound"


def test_few_elements_are_no_statistics(conv):
    averages = Averages(conv)
    y = right(conv).output
    assert averages.suspicion("output", y[0, 0, 0], y[0, 0, 0], PROFILES["float32"]) == ""
    broken = np.full(y.shape, np.nan)
    assert averages.suspicion("output", broken, y.astype("float64"), PROFILES["float32"]) == ""


# --- what does not fit ----------------------------------------------------------------------------------------------


def test_shapes_and_kinds_that_do_not_fit(conv):
    results = right(conv)
    verdict = judged(conv, results._replace(output=results.output[..., :-1]))
    assert verdict.findings[0].detail == "It has the shape (2, 4, 6, 5), and must have (2, 4, 6, 6)."
    assert (verdict.verdict, verdict.tier, verdict.tensors[0].worst) == ("bug", "exact", np.inf)
    verdict = judged(conv, results._replace(output=np.full(results.output.shape, "1")))
    assert verdict.findings[0].detail == "It holds <U1, and must hold floating-point numbers."
    verdict = judged(conv, results._replace(output=results.output.astype("int64")))
    assert verdict.ok  # whole numbers in an integer type are right numbers; the type is for judge_implementation
    void = np.zeros(results.output.shape, "V4")
    assert "It holds |V4" in judged(conv, results._replace(output=void)).findings[0].detail


def test_a_foreign_float_is_read():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([1.0, -2.0, 3.0], "float32")
    assert judge("relu", [x], {}, np.array([1.0, 0.0, 3.0]).astype(ml_dtypes.bfloat16), profile="bfloat16").ok


def test_only_what_is_given_is_judged(conv):
    results = right(conv)

    def names(verdict):
        return [t.tensor for t in verdict.tensors]

    call = ("conv2d", conv.arrays, conv.options)
    assert names(judge(*call, results.output)) == ["output"]
    assert names(judge(*call, None, conv.grad_output, {"weight": results.grads["weight"]})) == ["weight"]
    assert names(judge(*call, results.output, conv.grad_output, [results.grads["x"], None])) == ["output", "x"]
    assert names(judge(*call, results.output, conv.grad_output, ops.conv2d_backward(conv.grad_output, **conv.arrays,
                       **conv.options))) == ["output", "x", "weight", "bias"]  # fmt: skip
    nothing = judge(*call, None)
    assert (nothing.verdict, nothing.ok) == ("vacuous", False)


def test_two_outputs_come_as_any_pair():
    arguments = drawn("batch_norm_running_stats", 1)
    mean, var = right(arguments).output
    assert judge(*arguments[:3], (mean, var)).ok
    assert judge(*arguments[:3], [mean, 2 * var]).findings[0].tensor == "output.var"
    assert judge(*arguments[:3], right(arguments).output).ok
    assert "must have" in judge(*arguments[:3], np.stack([mean, var])).findings[0].detail


def test_arrays_by_position_and_from_elsewhere():
    x, weight = np.ones((3, 2), "float32"), np.eye(2, dtype="float32")
    assert judge("linear", (x, weight), None, x).ok
    graph = SimpleNamespace(detach=lambda: SimpleNamespace(cpu=lambda: x))
    device = SimpleNamespace(get=lambda: weight)
    assert judge("linear", (graph, device), None, graph).ok
    assert on_host(3.5) == 3.5
    parts = [np.ones((1, 2), "float32"), np.zeros((1, 3), "float32")]
    assert judge("concat", [parts], {}, np.concatenate(parts, 1)).ok


def test_errors_of_the_caller():
    x = np.ones(3, "float32")
    with pytest.raises(ValueError, match=r"judge: 'relo' is no operation; did you mean relu\?"):
        judge("relo", [x], {}, x)
    with pytest.raises(ValueError, match=r"judge: 'qqq' is no operation$"):
        judge("qqq", [x], {}, x)
    with pytest.raises(ValueError, match="judge: the arrays of relu are x; got y"):
        judge("relu", {"y": x}, {}, x)
    with pytest.raises(ValueError, match="judge: the arrays of relu are x; got more"):
        judge("relu", [x, x], {}, x)
    with pytest.raises(ValueError, match="gradients can only be judged with the grad_output"):
        judge("relu", [x], {}, x, grads=[x])


def test_assert_agrees():
    x = np.array([-1.0, 2.0], "float32")
    assert_agrees("relu", [x], {}, np.maximum(x, 0))
    with pytest.raises(AssertionError, match=r"^relu, float32: a bug: rounding cannot do this\."):
        assert_agrees("relu", [x], {}, x)


# --- words ----------------------------------------------------------------------------------------------------------


def test_a_verdict_names_the_mistake_and_how_to_mend_it(conv):
    flipped = right(conv.with_arrays(weight=conv.arrays["weight"][..., ::-1, ::-1]))
    verdict = judge("conv2d", conv.arrays, conv.options, flipped.output)
    assert verdict.diagnosis[0].name == "kernel flipped"
    assert verdict.diagnosis[:1][0] is verdict.diagnosis[0]
    text = str(verdict)
    assert "Looks like: kernel flipped" in text
    assert "Mend:" in text
    assert max(map(len, text.splitlines())) <= 80
    assert not verdict
    plain = json.loads(json.dumps(verdict.to_json()))
    assert plain["diagnosis"][0]["mistakes"] == ["kernel flipped"]
    assert plain["tensors"][0]["finding"]["index"] == list(verdict.findings[0].index)
    assert plain["tensors"][0]["finding"]["ratio"] == "inf"


def test_an_unknown_mistake_is_said_to_be_one(conv, rng):
    y = right(conv).output
    verdict = judge("conv2d", conv.arrays, conv.options, rng.permutation(y.ravel()).reshape(y.shape))
    assert len(verdict.diagnosis) == 0
    assert "None of the known mistakes explains this" in str(verdict)
    assert "The right numbers, in the wrong order." in verdict.findings[0].pattern


def test_a_right_verdict_in_words(conv):
    verdict = judged(conv, right(conv))
    assert bool(verdict)
    assert str(verdict).splitlines()[:2] == ["conv2d, float32: exact.", "  the output: exact, all 288 elements"]
    assert verdict.to_json()["diagnosis"] == []
    assert verdict.to_json()["tensors"][0]["finding"] is None


def test_a_finding_in_words():
    def words(**kw):
        return next(iter(Finding("output", **kw).lines()))

    one = words(index=(2, 0), got=1.5, expected=2.0, error=0.5, bound=0.125, wrong=1, elements=6)
    assert (
        one
        == "1 of 6 elements is wrong. The one at [2, 0] is 1.5, not 2: off by 0.5, of which rounding explains at most 0.125."
    )
    many = words(index=(2,), got=1.0, expected=0.0, error=1.0, wrong=3, elements=6)
    assert (
        many
        == "3 of 6 elements are wrong. The worst, at [2], is 1, not 0: off by 1, of which rounding explains nothing."
    )
    assert words(index=(), got=np.nan, expected=2.0, error=np.nan, wrong=1, elements=1) == "It is nan, not 2."
    assert words(detail="It is no array.") == "It is no array."


def test_tiers_and_verdicts_of_several_tensors(conv):
    def tensors(*pairs):
        return Verdict(conv, "float32", tuple(TensorVerdict(str(k), v, t, 1) for k, (v, t) in enumerate(pairs)))

    assert tensors(("exact", "exact"), ("within rounding", "statistics")).tier == "statistics"
    assert tensors(("bug", "bound"), ("bug", "exact")).tier == "exact"
    assert tensors(("vacuous", "bound"), ("looser arithmetic", "bound")).verdict == "vacuous"


# --- patterns -------------------------------------------------------------------------------------------------------


def facts(got, expected, tensor="output", name="conv2d", options=None, dy=None, x=None):
    x = np.zeros((2, 6, 8, 7)) if x is None else x
    return pattern(tensor, got, expected, got != expected, Arguments(name, {"x": x}, options or {}, dy))


@pytest.fixture
def image(rng):
    return rng.uniform(1, 2, (2, 6, 8, 7)) * rng.choice([-1, 1], (2, 6, 8, 7))


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda y: y * 2, "Every wrong element is 2 times what it should be."),
        (lambda y: -y, "Every wrong element is -1 times what it should be."),
        (lambda y: y / 2, "Every wrong element is 1/2 times what it should be."),
        (lambda y: y / 56, "Every wrong element is 1/56 (the number of pixels) times what it should be."),
        (lambda y: y * 112, "Every wrong element is 112 (the number of samples and pixels) times what it should be."),
        (lambda y: y * 1.0001, "Every wrong element is 1.0001 times what it should be."),
        (lambda y: y * np.pi, "Every wrong element is 3.14159265 times what it should be."),
        (lambda y: y + 3, "Every wrong element is off by the same 3."),
        (lambda y: y * 0, "Every wrong element is 0."),
        (lambda y: y * np.nan, "Every wrong element is NaN."),
        (lambda y: y[::-1], "The right numbers, turned round along axis 0."),
        (lambda y: y[..., ::-1, ::-1], "The right numbers, turned round along axis 2 and axis 3."),
        (lambda y: np.roll(y, 1, 3), "The right numbers, one place further on along axis 3."),
        (lambda y: np.roll(y, -1, 2), "The right numbers, one place further back along axis 2."),
        (
            lambda y: y.swapaxes(2, 3).reshape(y.shape),
            "The right numbers in the memory order of axes 2 and 3 exchanged.",
        ),
        (lambda y: np.sort(y, axis=None).reshape(y.shape), "The right numbers, in the wrong order."),
    ],
)
def test_what_the_wrong_elements_are(image, change, fact):
    assert fact in facts(change(image), image)


def test_exchanged_axes(rng):
    square = rng.standard_normal((3, 5, 5))
    assert "The right numbers, with axes 1 and 2 exchanged." in facts(square.swapaxes(1, 2).copy(), square)


@pytest.mark.parametrize(
    ("where", "fact"),
    [
        (np.s_[1], "Only the last sample (1)."),
        (np.s_[0], "Only sample 0."),
        (np.s_[:, 3], "Only channel 3."),
        (np.s_[:, 2:4], "Only channels 2 to 3 of 6."),
        (np.s_[:, [0, 2, 3]], "Only channels 0, 2 and 3."),
        (np.s_[..., 1::2, :], "Only every second row, from row 1."),
        (np.s_[..., ::3], "Only every third column, from column 0."),
        (np.s_[..., -1, :], "Only the last row (7)."),
        (np.s_[...], "Every element is wrong."),
    ],
)
def test_where_the_wrong_elements_are(image, where, fact):
    wrong = image.copy()
    wrong[where] += np.random.default_rng(3).uniform(1, 2, wrong[where].shape)
    assert fact in facts(wrong, image)


def test_groups_borders_and_long_lists(image, rng):
    wrong = image.copy()
    wrong[:, 3:] += rng.uniform(1, 2, wrong[:, 3:].shape)
    assert "Only group 1 of 2." in facts(wrong, image, options={"groups": 2})
    assert "Only groups 1, 2 of 3." in facts(np.where(np.arange(6)[:, None, None] < 2, image, wrong + 1), image,
                                             options={"groups": 3})  # fmt: skip
    assert "Only channels 3 to 5 of 6." in facts(wrong, image, options={"groups": 3})
    ring = image.copy()
    for side in (np.s_[..., 0, :], np.s_[..., -1, :], np.s_[..., 0], np.s_[..., -1]):
        ring[side] *= rng.uniform(2, 3)
    assert "Only at the border, inside nothing is wrong." in facts(ring, image)
    long = rng.standard_normal(30)
    some = long.copy()
    some[[0, 1, 3, 4, 6, 7, 9, 10, 13, 14]] += rng.uniform(1, 2, 10)
    assert "Only 10 of 30 places along axis 0." in facts(some, long, name="gelu")


def test_only_where_nothing_or_zero_belongs():
    x = np.array([0.0, 0.0, 2.0, np.inf])
    assert "Only where 0 belongs." in facts(np.array([1.0, 2.0, 2.0, np.inf]), x)
    assert "Only where NaN or infinity belongs." in facts(np.array([0.0, 0.0, 2.0, 5.0]), x)
    assert facts(np.array([1.0, 0.0, 2.0, 5.0]), x) == ("Only places 0 and 3 along axis 0.",)
    assert facts(x, x) == ()
    assert pattern("output", x, x[:2], x > 0, Arguments("relu", {"x": x}, {})) == ()


def test_a_factor_is_one_only_if_all_agree():
    expected = np.array([1.0, 2.0, 3.0, 4.0])
    everywhere = np.full(4, True)
    assert constant_factor(3 * expected, expected, everywhere) == 3
    assert constant_factor(np.array([3.0, 6, 9, 13]), expected, everywhere) is None
    assert constant_factor(expected, expected, everywhere) is None
    assert constant_factor(3 * expected, np.full(4, 1.0), everywhere) is None
    assert constant_factor(3 * expected[:2], expected[:2], everywhere[:2]) is None


def test_a_factor_of_output_pixels_is_named(image):
    dy = np.zeros((2, 6, 3, 5))
    assert any("the number of output pixels" in fact for fact in facts(image / 15, image, dy=dy))
    assert any("(the number of elements of x)" in fact for fact in facts(image * 10, image, x=np.zeros(10)))
    parts = Arguments("concat", {"arrays": (image, image)}, {})
    assert "Every wrong element is 1/5 times what it should be." in pattern(
        "output", image / 5, image, np.full(image.shape, True), parts
    )


@pytest.mark.parametrize(
    ("name", "tensor", "rank", "first"),
    [
        ("conv2d", "weight", 4, "output channel"), ("conv_transpose2d", "weight", 4, "input channel"),
        ("linear", "weight", 2, "output"), ("linear", "output", 2, "axis 0"), ("batch_norm", "weight", 1, "channel"),
        ("batch_norm", "x", 3, "sample"), ("conv2d", "x", 3, "channel"), ("film", "gamma", 2, "sample"),
        ("gelu", "x", 5, "axis 0"),
    ],
)  # fmt: skip
def test_axes_have_names(name, tensor, rank, first):
    names = axis_names(tensor, rank, Arguments(name, {}, {}))
    assert (names[0], len(names)) == (first, rank)


# --- the ladder -----------------------------------------------------------------------------------------------------


def test_the_ladder_has_what_an_operation_can_be_computed_in(conv):
    def names(arguments, profile="float32"):
        return [kind.name for kind in Ladder(arguments, profile).kinds]

    assert names(conv) == ["float32", "tf32", "float32-bfloat16", "bfloat16", "float16"]
    square = conv.with_arrays(weight=np.ones((4, 3, 3, 3), "float32"))
    assert names(square)[1:3] == ["float32-winograd2", "float32-winograd4"]
    norm = drawn("group_norm", 1)
    assert names(norm) == ["float32", "float32-welford", "float32-one-pass", "bfloat16", "float16"]
    assert names(norm, "float16")[-1] == "float16-accumulate"
    half = ["bfloat16", "bfloat16-welford", "bfloat16-kept", "bfloat16-one-pass", "bfloat16-accumulate"]
    assert names(norm, "bfloat16") == half
    assert names(drawn("sigmoid", 1), "float64") == ["float64", "float64-tanh", "float32"]
    assert names(drawn("glu", 1), "bfloat16") == ["bfloat16", "bfloat16-accumulate"]
    assert names(drawn("gelu", 1), "float64") == ["float64", "float64-constants", "float32"]
    assert names(drawn("cross_entropy", 1), "float16") == ["float16", "float16-kept", "float16-accumulate"]


def test_rounding_to_few_bits():
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 257.0, 0.0, np.inf, np.nan])
    np.testing.assert_array_equal(rounded(values, 8), [1, 1, 1 + 2**-6, 256, 0, np.inf, np.nan])
    np.testing.assert_array_equal(stored(values, PROFILES["bfloat16"]), rounded(values, 8))
    assert stored(values, PROFILES["float16"]).dtype == np.float16


def test_the_size_of_a_result_in_general(conv):
    """Where the results at hand cancel, as a norm's gradient does for y.sum(), or are empty."""
    case = designed_case("batch_norm", "image; sum upstream")
    ladder = Ladder(case.arguments, "float32")
    assert ladder.signal("x") > 0.01 > np.abs(ladder.level("x", ladder.base).expected).max()
    empty = Arguments("relu", {"x": np.zeros((0, 3), "float32")}, {}, np.zeros((0, 3), "float32"))
    assert Ladder(empty, "float32").signal("output") == 0
    far = Arguments("sigmoid", {"x": np.full(400, -90, "float32")}, {})
    assert 0.4 < Ladder(far, "float32").signal("output") < 0.7
    assert judged(empty, right(empty)).ok


def test_the_package_offers_what_the_documents_say():
    for name in judging.__all__:
        assert hasattr(judging, name)
