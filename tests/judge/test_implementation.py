"""The judge of an implementation: right ones pass everywhere, and whatever a wrong one does is said, never a crash."""

import json
import time

import numpy as np
import pytest

from unet_ref import ops
from unet_ref.check.bounds import PROFILES
from unet_ref.check.table import OPERATIONS
from unet_ref.judge import designed_case, designed_cases, judge_case, judge_implementation, judge_results
from unet_ref.judge.causes import Causes, Part
from unet_ref.judge.mistake import Results, right
from unet_ref.judge.report import CaseResult, Report

NONE = "None of the known mistakes explains this, nor two of them together."


def pair(name):
    return getattr(ops, name), getattr(ops, f"{name}_backward", None)


def plain(name="conv2d"):
    return designed_case(name, "plain")


# --- right ones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("profile", ["float16", "float32", "float64", "bfloat16"])
def test_the_reference_passes_everywhere(name, profile):
    report = judge_implementation(name, *pair(name), profile=profile)
    assert report.ok, str(report)
    assert (report.score, report.failures, report.skipped) == (1, (), ())
    assert str(report) == f"{name}, {profile}: right in all {len(report.results)} cases."
    assert report.diagnosis is None


def test_a_right_convolution_is_judged_in_seconds():
    judge_implementation("conv2d", *pair("conv2d"))
    start = time.process_time()
    judge_implementation("conv2d", *pair("conv2d"))
    assert time.process_time() - start < 10


def test_forward_alone():
    report = judge_implementation("conv2d", ops.conv2d)
    assert report.ok
    assert all(len(result.verdict.tensors) == 1 for result in report.results)


def test_gradients_in_any_form():
    def as_dict(*args, **options):
        return ops.conv2d_backward(*args, **options)._asdict()

    def as_list(*args, **options):
        return list(ops.conv2d_backward(*args, **options))

    def alone(*args, **options):
        return ops.relu_backward(*args, **options).x

    assert judge_implementation("conv2d", ops.conv2d, as_dict).ok
    assert judge_implementation("conv2d", ops.conv2d, as_list).ok
    assert judge_implementation("relu", ops.relu, alone).ok


def test_cases_of_ones_own_and_progress():
    seen = []

    def progress(cases, total):
        for case in cases:
            seen.append((case.label, total))
            yield case

    report = judge_implementation("conv2d", *pair("conv2d"), cases=[plain()], progress=progress)
    assert (len(report.results), seen) == (1, [("plain", 1)])


def test_unknown_operations_and_profiles():
    with pytest.raises(ValueError, match="'conv3d' is no operation"):
        judge_implementation("conv3d", ops.conv2d)
    with pytest.raises(TypeError, match="must be one of"):
        judge_implementation("conv2d", ops.conv2d, profile="float31")


# --- wrong numbers --------------------------------------------------------------------------------------------------


def flipped(x, weight, bias=None, **options):
    return ops.conv2d(x, np.ascontiguousarray(weight[..., ::-1, ::-1]), bias, **options)


def test_a_flipped_kernel_is_named_with_a_reproducer_that_runs():
    report = judge_implementation("conv2d", flipped)
    assert not report.ok
    assert not bool(report)
    assert 0 < report.score < 0.3
    assert report.diagnosis[0].name == "kernel flipped"
    text = str(report)
    assert "Looks like: kernel flipped" in text
    assert "Not right either: " in text
    assert max(len(line) for line in text.splitlines() if "designed_case(" not in line) <= 80
    printed = []
    exec(report.failures[0].reproducer, {"forward": flipped, "backward": None, "print": printed.append})  # noqa: S102
    assert printed[0].outcome == "bug"
    assert str(printed[0]).splitlines()[0].endswith(": bug")


def test_two_independent_mistakes_are_told_apart():
    def backward(dy, x, weight, bias=None, **options):
        grads = ops.conv2d_backward(dy, x, weight, bias, **options)
        return grads if bias is None else grads._replace(bias=grads.bias / len(x) if x.ndim == 4 else grads.bias)

    def forward(x, weight, bias=None, *, groups=1, **options):
        if groups > 1:
            return -ops.conv2d(x, weight, bias, groups=groups, **options)
        return ops.conv2d(x, weight, bias, **options)

    report = judge_implementation("conv2d", forward, backward)
    text = str(report)
    assert "Where output is wrong:" in text
    assert "Where the gradient of bias is wrong:" in text
    assert {part.where for part in report.diagnosis.parts} >= {"output", "bias"}


def test_a_mistake_of_one_rare_case_is_found():
    """mlx#3800: wrong only where groups meet strides."""

    def backward(dy, x, weight, bias=None, **options):
        grads = ops.conv2d_backward(dy, x, weight, bias, **options)
        if options.get("groups", 1) > 1 and options.get("stride", 1) not in (1, (1, 1)):
            grads.x[..., 0] = 0
        return grads

    failures = judge_implementation("conv2d", ops.conv2d, backward).failures
    assert 0 < len(failures) < 15
    assert all(result.case.arguments.options["groups"] > 1 for result in failures)


@pytest.mark.parametrize(("exact", "sentence"), [(True, NONE), (False, "Looks like: last row of the gradient of x")])
def test_causes_in_words(exact, sentence):
    def backward(dy, x, **options):
        dx = ops.avg_pool2d_backward(dy, x, **options).x
        return (
            dx * (1 + 0.1 * np.sin(np.arange(dx.size)).reshape(dx.shape)).astype(dx.dtype)
            if exact
            else _no_last_row(dx)
        )

    text = str(judge_implementation("avg_pool2d", ops.avg_pool2d, backward))
    assert sentence in text


def _no_last_row(dx):
    dx[..., -1, :] = 0
    return dx


def test_mistakes_that_cannot_be_told_apart_are_listed():
    class Found:
        rank, left = 1, 0.0

        def __init__(self, name):
            self.name = name

        def __str__(self):
            return self.name

    text = str(Causes((Part("output and x", (Found("this"), Found("that"), Found("either"))),)))
    assert text.splitlines() == [
        "Where output and the gradient of x are wrong:",
        "Looks like: this",
        "The same numbers would come from: that; either.",
    ]


# --- conduct --------------------------------------------------------------------------------------------------------


def told(forward, backward=None, case=None, **how):
    """The one case, and what is said besides the numbers."""
    result = judge_case(case or plain(), forward, backward, **how)
    assert not result.ok
    assert not result
    return result


def test_a_candidate_that_raises():
    def forward(*args, **options):
        raise IndexError("index 7 is out of bounds")

    result = told(forward, ops.conv2d_backward)
    assert result.problems[0].startswith("forward raised IndexError: index 7 is out of bounds (forward, line ")
    assert [t.verdict for t in result.verdict.tensors] == ["exact"] * 3
    assert result.outcome == "conduct"
    result = told(ops.conv2d, forward)
    assert result.problems[0].startswith("backward raised IndexError")
    assert str(told(forward)).splitlines()[1].startswith("  forward raised IndexError")
    wrong_signature = told(lambda x: x)
    assert "forward raised TypeError" in wrong_signature.problems[0]
    assert "line" not in wrong_signature.problems[0]


def test_an_interrupt_is_no_answer():
    def forward(*args, **options):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge_case(plain(), forward)


def test_a_candidate_that_refuses():
    def forward(x, weight, bias=None, *, groups=1, **options):
        if groups > 1:
            raise NotImplementedError("no groups")
        if options.get("dilation"):
            raise NotImplementedError
        return ops.conv2d(x, weight, bias, groups=groups, **options)

    report = judge_implementation("conv2d", forward, ops.conv2d_backward)
    assert report.ok
    assert {result.skipped for result in report.skipped} == {"no groups", "not implemented"}
    assert f"{len(report.skipped)} refused, and not judged." in str(report)
    for result in report.skipped:
        assert "refused" not in str(result)
        assert str(result).endswith(f"  {result.skipped}")
    nothing = judge_implementation("conv2d", forward, cases=[designed_case("conv2d", "groups")])
    assert (nothing.ok, nothing.score) == (False, 0.0)
    assert nothing.headline == "conv2d, float32: no case was judged. 1 refused, and not judged."


@pytest.mark.parametrize("value", [None, 3.0, [[1.0]], "text", {"y": 1}])
def test_a_candidate_that_returns_no_array(value):
    result = told(lambda *args, **options: value)
    assert result.problems or result.outcome == "bug"
    words = {type(None): "forward returned None.", float: "the output is no NumPy array but float.", str: "but str."}
    assert type(value) not in words or any(words[type(value)] in problem for problem in result.problems)


def test_another_dtype_or_shape():
    result = told(lambda *args, **options: ops.conv2d(*args, **options).astype("float64"))
    assert result.problems == ("the output has dtype float64, and must have that of x, float32.",)
    assert result.verdict.ok
    result = told(lambda *args, **options: ops.conv2d(*args, **options).ravel())
    assert result.outcome == "bug"
    assert "must have (2, 4, 5, 4)" in str(result)


def test_a_gradient_that_is_missing():
    result = told(ops.conv2d, lambda *args, **options: ops.conv2d_backward(*args, **options)._replace(weight=None))
    assert result.problems == ("backward returned no gradient of weight.",)
    result = told(ops.conv2d, lambda *args, **options: None)
    assert result.problems == ("backward returned None.",)
    result = told(ops.conv2d, lambda *args, **options: {})
    assert result.problems == tuple(f"backward returned no gradient of {name}." for name in ("x", "weight", "bias"))


def test_a_gradient_that_nobody_asked_for_is_ignored():
    case = designed_case("conv2d", "no bias")

    def backward(dy, x, weight, bias=None, **options):
        return ops.conv2d_backward(dy, x, weight, np.zeros(len(weight), x.dtype), **options)

    assert judge_case(case, ops.conv2d, backward).ok


def test_a_candidate_that_changes_its_inputs():
    def forward(x, weight, bias=None, **options):
        y = ops.conv2d(x, weight, bias, **options)
        x *= 0
        return y

    def backward(dy, *arrays, **options):
        grads = ops.conv2d_backward(dy, *arrays, **options)
        dy[...] = 1
        return grads

    case = plain()
    before = case.arguments.arrays["x"].copy()
    result = told(forward, backward, case)
    assert result.problems == ("forward changes its input x.", "backward changes its input grad_output.")
    assert all(t.verdict == "exact" for t in result.verdict.tensors)
    np.testing.assert_array_equal(case.arguments.arrays["x"], before)


def test_other_bits_in_a_second_call():
    calls = []

    def forward(*args, **options):
        calls.append(1)
        return ops.conv2d(*args, **options) + np.float32(1e-3 * len(calls))

    result = told(forward)
    assert "forward: the output has other bits in a second call (off by up to 0.000" in result.problems[0] or (
        "forward: the output has other bits in a second call (off by up to 0.001" in result.problems[0]
    )

    def growing(*args, **options):
        calls.append(1)
        return ops.conv2d(*args, **options)[..., : len(calls) % 2 + 2]

    assert any(problem.endswith("the output has other bits in a second call.") for problem in told(growing).problems)


def test_gradients_that_add_up_from_call_to_call():
    held = {}

    def backward(dy, x, weight, bias=None, **options):
        grads = ops.conv2d_backward(dy, x, weight, bias, **options)._asdict()
        for name, grad in grads.items():
            held[name] = held.get(name, 0) + grad
        return dict(held)

    problems = told(ops.conv2d, backward).problems
    expected = (
        "backward: the gradient of weight is twice as large in a second call: something is added up from call to call."
    )
    assert expected in problems


def test_internal_buffers():
    buffers = {}

    def forward(x, weight, bias=None, **options):
        y = ops.conv2d(x, weight, bias, **options)
        buffer = buffers.setdefault(y.shape, np.empty_like(y))
        buffer[...] = y + len(buffers)
        buffers[len(buffers)] = 0
        return buffer

    assert any("it is an internal buffer" in problem for problem in told(forward).problems)


def test_a_result_that_is_a_view_of_an_input():
    case = designed_case("pad2d", "nothing")
    result = told(lambda x, **options: x[...], case=case)
    assert result.problems == ("forward: the output shares memory with the input x: return a copy.",)
    parts = designed_case("concat", "three arrays")

    def backward(dy, arrays, axis=1):
        starts = np.cumsum([array.shape[axis] for array in arrays])[:-1]
        return tuple(np.split(dy, starts, axis))

    problems = told(ops.concat, backward, parts).problems
    assert "backward: the gradient of arrays[1] shares memory with the input grad_output: return a copy." in problems


def test_results_that_were_never_initialised():
    """executorch#21686: the gradient is added up in memory that holds something else."""

    def backward(dy, x, **options):
        dx = np.empty_like(x)
        right_one = ops.max_pool2d_backward(dy, x, **options).x
        dx[right_one != 0] = right_one[right_one != 0]
        return dx

    assert judge_implementation("max_pool2d", ops.max_pool2d, backward).score < 0.5


def test_a_second_call_that_fails():
    calls = []

    def forward(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("buffers are freed")
        return ops.conv2d(*args, **options)

    place = f"(forward, line {_line(forward)})"
    assert told(forward).problems == (f"forward raised RuntimeError: buffers are freed {place}",)


def _line(function):
    return function.__code__.co_firstlineno + 3


def test_both_outputs_are_looked_at():
    case = designed_case("batch_norm_running_stats", "image")

    def forward(x, mean, var, **options):
        new = ops.batch_norm_running_stats(x, mean, var, **options)
        return new.mean, new.var.astype("float64")

    assert told(forward, case=case).problems[0].startswith("the output[1] has dtype float64")


# --- results made elsewhere, and reports -----------------------------------------------------------------------------


def test_results_that_were_made_elsewhere():
    cases = designed_cases("relu")[:3]
    report = judge_results([(cases[0], right(cases[0].arguments)), (cases[1], None)], "relu")
    assert report.ok
    assert [result.skipped for result in report.results] == ["", "no result"]
    wrong = right(cases[2].arguments)
    wrong = Results(-wrong.output, wrong.grads)
    report = judge_results([(cases[2], wrong)], "relu", "float32")
    assert not report.ok
    assert report.headline == "relu, float32: right in 0 of 1 cases; a bug in 1."


def test_a_report_is_plain_data():
    document = json.loads(json.dumps(judge_implementation("conv2d", flipped, ops.conv2d_backward).to_json()))
    assert document["operation"] == "conv2d"
    assert document["failed"] + document["judged"] * document["score"] == pytest.approx(document["judged"])
    assert document["diagnosis"][0]["mistakes"] == ["kernel flipped"]
    failing = next(case for case in document["cases"] if not case["ok"])
    assert failing["verdict"]["tensors"][0]["finding"]["wrong"] > 0
    assert failing["reproducer"].startswith("from unet_ref import judge")
    skipped = judge_implementation("conv2d", _refuses, cases=[plain()]).to_json()
    assert skipped["cases"][0]["verdict"] is None
    assert skipped["diagnosis"] == []


def _refuses(*args, **options):
    raise NotImplementedError


def test_reproducers_say_the_profile():
    text = CaseResult(plain(), "float64", None, ("x",)).reproducer
    assert "judge.designed_case('conv2d', 'plain', 'float64')" in text
    assert "profile='float64'" in text


def test_the_clearest_failures_come_first():
    def forward(x, weight, bias=None, **options):
        y = ops.conv2d(x, weight, bias, **options)
        return y[..., :1] if x.ndim == 3 else y + 1

    report = judge_implementation("conv2d", forward)
    assert report.failures[0].verdict.findings[0].index is not None
    assert report.failures[-1].verdict.findings[0].index is None


def test_looser_arithmetic_is_counted_as_such():
    def forward(x, **options):
        return ops.sigmoid(x.astype("float16")).astype("float32")

    report = judge_implementation("sigmoid", forward)
    assert "looser arithmetic in " in report.headline


def test_profiles_are_those_of_the_bounds():
    for name in ("tf32", "float32-winograd4", "float16-accumulate"):
        assert name in PROFILES
        assert judge_implementation("relu", ops.relu, profile=name, cases=None).ok


def test_an_empty_report_is_not_ok():
    assert not Report("conv2d", "float32", ())
