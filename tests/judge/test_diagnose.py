"""The diagnosis: which mistake of the bank a wrong result is, alone, in pairs, in some tensors, over several results."""

from collections import Counter

import numpy as np
import pytest

from unet_ref.check.error_bound import error_bound
from unet_ref.check.table import OPERATIONS
from unet_ref.judge.bank import BANK, applying
from unet_ref.judge.diagnose import Diagnosis, Observation, diagnose, diagnose_all
from unet_ref.judge.mistake import Arguments, Mistake, Results, right
from unet_ref.judge.pairs import composed
from unet_ref.judge.plant import SPECIAL, drawn, plain, plant, plant_pair
from unet_ref.judge.trial import Trial, error, finite_error, guarded, largest, outside

ENTRIES = {entry.name: entry for entry in BANK}


def named(found):
    """The names of the first rank: each a mistake, or two."""
    return [{mistake.name for mistake in each.mistakes} for each in found if each.rank == 1]


def convolution(seed=0, dtype="float64", **options):
    rng = np.random.default_rng(seed)
    arrays = {"x": rng.standard_normal((2, 4, 7, 6)), "weight": rng.standard_normal((6, 2, 3, 2)),
              "bias": rng.standard_normal(6)}  # fmt: skip
    call = Arguments("conv2d", arrays, {"groups": 2, "padding": ((1, 0), (1, 1)), **options})
    dy = rng.standard_normal(right(call).output.shape)
    return call._replace(grad_output=dy).map(lambda array: array.astype(dtype))


# --- how often it is right; benchmarks/diagnosis.py tries all of them -------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_it_names_the_mistake(dtype):
    """Every mistake in one of its operations, at random arguments; the wrong results computed in three dtypes."""
    tried, wrong = 0, []
    for k, entry in enumerate(BANK):
        operation = entry.operations[k % len(entry.operations)]
        if dtype != "float64" and (k + len(dtype)) % 3:  # a third of them in each of the shorter ones
            continue
        planted = plant(entry, operation, np.random.default_rng(k), dtype)
        if planted is None:
            assert dtype == "float16", entry.name
            continue
        tried += 1
        if {entry.name} not in named(diagnose(planted.arguments, planted.got, pairs=False)):
            wrong.append((operation, entry.name))
    assert tried > (200 if dtype == "float64" else 75)
    assert len(wrong) <= 0.05 * tried, wrong


def test_it_names_two_mistakes_at_once():
    tried = hit = 0
    rng = np.random.default_rng(11)
    for name in OPERATIONS:
        known = [entry for entry in applying(name) if entry.fit is None and not entry.narrow]
        one, other = rng.choice(len(known), 2, replace=False)
        planted = plant_pair(known[one], known[other], name, rng)
        if planted is not None:
            tried += 1
            found = diagnose(planted.arguments, planted.got, pairs=True)
            hit += {known[one].name, known[other].name} in named(found)
    assert tried >= 8
    assert hit >= 0.5 * tried


# --- one result ----------------------------------------------------------------------------------------------------


def test_a_right_result_has_no_diagnosis():
    for dtype in ("float64", "float32", "float16", "longdouble", "object"):
        call = convolution(dtype=dtype)
        assert diagnose(call, right(call)) == []


def test_what_no_mistake_explains_has_none_either():
    call = convolution()
    expected = right(call)
    rng = np.random.default_rng(1)
    noise = expected._replace(output=rng.standard_normal(expected.output.shape))
    assert diagnose(call, noise) == []
    one = expected.output.copy()
    one[0, 0, 0, 0] += 1
    assert diagnose(call, expected._replace(output=one)) == []


def test_all_tensors_come_before_some():
    """The kernel flipped throughout; in the gradient of x alone; in the output alone."""
    call = convolution(dtype="float32")
    wrong, fine = ENTRIES["kernel flipped"](call), right(call)
    (throughout,) = diagnose(call, wrong)
    assert (throughout.name, throughout.tensors, throughout.contradicts) == \
        ("kernel flipped", ("output", "weight", "x"), ())  # fmt: skip
    assert throughout.complete
    assert throughout.left < 1e-3
    backward = diagnose(call, fine._replace(grads=fine.grads | {"x": wrong.grads["x"]}))
    assert [each.name for each in backward][:2] == ["kernel not flipped in the backward", "kernel flipped"]
    assert [each.rank for each in backward][:2] == [1, 2]
    assert backward[1].contradicts == ("output", "weight")
    assert str(backward[1]).startswith("kernel flipped (in the gradient of x only)\n")
    (forward,) = diagnose(call, fine._replace(output=wrong.output))
    assert str(forward).startswith("kernel flipped (in the output only)\n")
    assert forward.mistakes[0].mend in str(forward)


def test_in_words():
    call = convolution(dilation=(1, 2), stride=2)
    text = str(diagnose(call, ENTRIES["dilation ignored"](call))[0])
    assert text.splitlines() == [
        "dilation ignored",
        "  The output has the size that the dilation asks for, but the taps of a window lie side by side.",
        "  Mend: Tap k of a window reads pixel stride*i + dilation*k - padding, in the backward pass too.",
        "  Seen in tensorflow#18454, jax#567, jax#563, mxnet#11203, pytorch#5112.",
    ]


def test_what_does_the_same_shares_a_rank_and_the_specific_stands_first():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    call = Arguments("mse_loss", {"x": x, "target": x[::-1].copy()}, {}, np.array(2.0))
    found = diagnose(call, ENTRIES["half in front"](call))
    assert [each.name for each in found if each.rank == 1] == ["half in front", "output off by a factor"]
    call = Arguments("pad2d", {"x": x}, {"padding": 1}, np.ones((2, 3, 6, 6)))
    found = diagnose(call, Results(None, {"x": np.zeros_like(x)}))
    assert named(found) == [{"input gets no gradient"}, {"gradient ends early"}, {"gradient off by a factor"}]


def test_only_what_is_there_is_looked_at():
    call = convolution()
    wrong = ENTRIES["bias missing"](call)
    for got in (Results(wrong.output, {}), {"output": wrong.output}, {"output": wrong.output, "weight": None},
                {"output": wrong.output, "unheard of": np.ones(3)}):  # fmt: skip
        assert named(diagnose(call, got)) == [{"bias missing"}]
    assert diagnose(call, {"weight": wrong.grads["weight"]}) == []  # that one is right


def test_results_by_tensor_serve_the_mistakes_with_a_number_too():
    call = convolution()
    tensors = {name: 1.5 * array for name, array in right(call).tensors().items()}
    assert named(diagnose(call, tensors)) == [{"output off by a factor"}]
    x = np.random.default_rng(0).standard_normal((4, 3))
    stats = Arguments("batch_norm_running_stats", {"x": x, "running_mean": x[0], "running_var": x[1] ** 2}, {})
    got = ENTRIES["running variance biased"](stats)
    assert {"running variance biased"} in named(diagnose(stats, got.tensors()))


def test_another_shape():
    call = convolution(dilation=2)
    got = Results(ENTRIES["dilation left out"](call).output, {})
    (found,) = diagnose(call, got)
    assert found.name == "dilation left out"
    assert diagnose(call, Results(np.ones((2, 6, 1)), {})) == []


def test_nan():
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 6))
    x[0, 0, 1, 2] = np.nan
    call = Arguments("max_pool2d", {"x": x}, {"kernel_size": 2}, np.ones((1, 2, 2, 3)))
    assert diagnose(call, right(call)) == []
    assert named(diagnose(call, ENTRIES["nan lost"](call))) == [{"nan lost"}]


def test_bounds_decide_what_is_wrong():
    call = convolution(dtype="float32")
    got = right(call)
    nudged = got._replace(output=got.output * np.float32(1 + 1e-5))
    bounds = error_bound(call.name, call.arrays, call.options, call.grad_output)
    tensors = {"output": bounds.output, **{name: bound for name, bound in bounds.grads.items() if bound is not None}}
    wide = {name: 1e3 * bound for name, bound in tensors.items()}
    assert diagnose(call, nudged, wide) == []
    assert named(diagnose(call, nudged, tensors)) == [{"output off by a factor"}]
    assert named(diagnose(call, nudged, {"output": 0.0, **{name: np.inf for name in tensors if name != "output"}}))


def test_one_pass_variance_is_known_by_its_rounding():
    rng = np.random.default_rng(0)
    x = (1000 + rng.standard_normal((2, 6, 8, 8))).astype("float32")
    call = Arguments("group_norm", {"x": x, "weight": None, "bias": None}, {"num_groups": 3})
    grouped = x.reshape(2, 3, -1)
    mean = grouped.mean(axis=2, keepdims=True)
    variance = (grouped * grouped).mean(axis=2, keepdims=True) - mean * mean
    got = ((grouped - mean) / np.sqrt(np.maximum(variance, 0) + np.float32(1e-5))).reshape(x.shape)
    assert named(diagnose(call, Results(got, {}))) == [{"variance in one pass"}]


def test_a_mistake_that_suffers_more_from_rounding_is_known_all_the_same():
    """One value a group: what rounding leaves of ``x - mean`` is divided by the root of eps alone."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, dy, weight, bias = (rng.standard_normal(shape) for shape in ((2, 3, 1), (2, 3, 1), 3, 3))
        call = Arguments("group_norm", {"x": x, "weight": weight, "bias": bias}, {"num_groups": 1}, dy)
        call = call.map(lambda array: array.astype("float32"))
        got = ENTRIES["number of groups taken for their size"](call)
        found = diagnose(call, got)
        assert {"number of groups taken for their size"} in named(found)
        assert found[0].tensors == ("output", "weight", "x")


def test_what_rounding_does_to_a_mistake_is_not_known_where_it_cannot_be_made():
    def run(arguments, base):
        if arguments.arrays["x"].dtype != "float64":
            raise ValueError("float64 only")
        return base(arguments)._replace(output=base(arguments).output + 1)

    own = Mistake("one too many", ("relu",), "One is added.", "Do not add it.", run, frozenset({"output"}))
    call = Arguments("relu", {"x": np.array([-1.0, 2.0])}, {})
    assert named(diagnose(call, Results(np.array([1.0, 3.0]), {}), bank=[own])) == [{"one too many"}]
    assert diagnose(call, Results(np.array([1.001, 3.0]), {}), bank=[own]) == []


def test_the_layout_of_the_arguments_is_seen():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("float32")
    call = Arguments("sigmoid", {"x": np.asfortranarray(x)}, {})
    got = 1 / (1 + np.exp(-x.ravel(order="F").reshape(x.shape)))
    assert named(diagnose(call, Results(got, {}))) == [{"input read as contiguous"}]


def test_a_bank_of_ones_own():
    def run(arguments, base):
        results = base(arguments)
        return results._replace(output=results.output + 1)

    own = Mistake("one too many", ("relu",), "One is added.", "Do not add it.", run, frozenset({"output"}))
    call = Arguments("relu", {"x": np.array([-1.0, 2.0])}, {})
    assert named(diagnose(call, Results(np.array([1.0, 3.0]), {}), bank=[own])) == [{"one too many"}]


# --- two mistakes --------------------------------------------------------------------------------------------------


def test_two_mistakes_upon_each_other():
    call = convolution(dtype="float32", stride=2)
    two = composed(ENTRIES["kernel flipped"], ENTRIES["bias added twice"])
    seen = []
    found = diagnose(call, two(call), progress=lambda done, total: seen.append((done, total)))
    assert named(found) == [{"kernel flipped", "bias added twice"}]
    assert found[0].name in ("kernel flipped, and bias added twice", "bias added twice, and kernel flipped")
    assert str(found[0]).count("Mend:") == 2
    assert [done for done, _ in seen] == list(range(seen[0][1]))
    assert diagnose(call, two(call), pairs=False) == []


def test_two_mistakes_in_tensors_of_their_own():
    call = convolution()
    wrong = ENTRIES["bias gradient averaged"](call).grads["bias"]
    turned = ENTRIES["kernel flipped"](call)
    got = turned._replace(grads=right(call).grads | {"bias": wrong})
    found = diagnose(call, got)
    assert {"kernel flipped", "bias gradient averaged"} in named(found)
    assert (found[0].tensors, found[0].contradicts) == (("bias", "output"), ())


def test_pairs_are_left_out_where_they_would_take_long(monkeypatch):
    call = convolution()
    got = composed(ENTRIES["kernel flipped"], ENTRIES["bias added twice"])(call)
    monkeypatch.setattr("unet_ref.judge.diagnose.PAIR_NUMBERS", 10)
    assert diagnose(call, got) == []
    assert len(diagnose(call, got, pairs=True)) == 1


def test_composed_falls_back_on_what_shows():
    call = Arguments("conv2d", {"x": np.ones((1, 3, 3)), "weight": np.ones((1, 1, 1, 1)), "bias": np.ones(1)}, {})
    flipped, missing = ENTRIES["kernel flipped"], ENTRIES["bias missing"]  # one tap: there is nothing to flip
    for two in ((flipped, missing), (missing, flipped)):
        assert (composed(*two)(call).output == 1).all()
    assert (composed(flipped, flipped)(call).output == 2).all()


def test_plants():
    rng = np.random.default_rng(0)
    never = Mistake("never", ("relu",), "Nothing.", "Nothing.", lambda arguments, base: None)
    assert plant(never, "relu", rng) is None
    assert plant_pair(never, ENTRIES["leaky"], "relu", rng) is None
    for special in SPECIAL:  # every one leaves arguments that the operation accepts
        for name in OPERATIONS:
            assert right(drawn(name, rng, "float32", special)).output is not None


# --- several results -----------------------------------------------------------------------------------------------


def observed(name, calls):
    entry = ENTRIES[name]
    return [Observation(call, entry(call) or right(call)) for call in calls]


def test_several_results_leave_fewer_mistakes():
    """At stride 1 and one dilation many mistakes do the same; a second result tells them apart."""
    square = convolution(seed=1, stride=(2, 1), padding=0)
    other = convolution(seed=2, stride=(3, 2), padding=0)
    one = named(diagnose_all(observed("stride swapped", [square])))
    both = diagnose_all(observed("stride swapped", [square, other, convolution(seed=3)]))
    assert {"stride swapped"} in one
    assert named(both) == [{"stride swapped"}]
    assert (both[0].cases, both[0].wrong, both[0].silent) == (2, 2, True)


def test_what_would_show_in_right_results_stands_behind():
    """Groups of one channel and of many: a kernel that ignores dilation, but not where the stride is 2."""
    calls = [convolution(seed=4, dilation=2), convolution(seed=5, dilation=2, stride=2)]
    observations = [observed("dilation ignored", calls[:1])[0], Observation(calls[1], right(calls[1]))]
    (found,) = diagnose_all(observations)
    assert not found.silent
    assert "but it would show in results that are right" in str(found)


def test_one_mistake_in_some_results_another_in_others():
    calls = [convolution(seed=6), convolution(seed=7), convolution(seed=8)]
    observations = observed("kernel flipped", calls[:2]) + observed("bias missing", calls[2:])
    found = diagnose_all(observations)
    assert named(found) == [{"kernel flipped", "bias missing"}]
    assert found[0].complete
    names = [each.name for each in found[1:]]
    assert names[0] == "kernel flipped"
    assert "explains 2 of 3 wrong results" in str(found[1])
    assert "bias missing" in names
    assert found[1].rank == 2


def test_one_mistake_in_each_of_two_results():
    """And one of them cannot show in the other's: there is no bias there."""
    calls = [convolution(seed=6).with_arrays(bias=None), convolution(seed=7)]
    found = diagnose_all(observed("kernel flipped", calls[:1]) + observed("bias missing", calls[1:]))
    assert named(found) == [{"kernel flipped", "bias missing"}]
    assert [(each.name, each.rank, each.cases) for each in found[1:3]] == \
        [("kernel flipped", 2, 1), ("bias missing", 3, 1)]  # fmt: skip


def test_nothing_wrong_in_any():
    call = convolution()
    assert diagnose_all([Observation(call, right(call))]) == []
    assert diagnose_all([]) == []


# --- distances -----------------------------------------------------------------------------------------------------


def test_distances():
    one, other = np.array([1.0, np.nan, np.inf]), np.array([1.5, np.nan, np.inf])
    assert error(one, other) == 0.5
    assert error(one, np.ones(2)) == np.inf
    assert error(np.array([np.nan]), np.array([1.0])) == np.inf
    assert error(np.array([np.inf]), np.array([-np.inf])) == np.inf
    assert error(np.array([3, 5], dtype=object), np.array([3, 1], dtype=object)) == 4
    assert finite_error(np.array([np.inf, 2.0]), np.array([1.0, 1.0])) == 1
    assert outside(np.ones(2), np.ones(3), 10)
    assert outside(np.array([1], dtype=object), np.array([2], dtype=object), 10)
    assert not outside(np.array([np.nan, 2.0]), np.array([np.nan, 2.5]), 0.5)
    assert largest(np.array([-3, 1], dtype=object)) == 3
    assert largest(np.array([-2.0, np.nan, np.inf])) == 2
    assert guarded(lambda: 1 / 0) is None


def test_rounding_is_measured():
    call = convolution(dtype="float32")
    for dtype, least, most in (("float64", 1e-17, 1e-12), ("float32", 1e-7, 1e-3), ("float16", 1e-4, 1)):
        there = call.map(lambda array, dtype=dtype: array.astype(dtype))
        trial = Trial(Observation(there, right(there)))
        assert all(least < room < most for room in trial.rounding.values()), trial.rounding
        assert not trial.wrong
    complex_call = call.map(lambda array: array.astype("complex64"))
    assert Trial(Observation(complex_call, right(complex_call))).wrong == {}
    assert set(Trial(Observation(call, right(call), {"output": np.array([1.0, np.inf])})).rounding) == \
        {"output", "x", "weight", "bias"}  # fmt: skip


def test_random_draws_differ():
    shapes = Counter(drawn("conv2d", np.random.default_rng(k), "float64", plain).arrays["x"].shape for k in range(20))
    assert len(shapes) > 15


def test_a_diagnosis_as_data():
    each = Diagnosis((ENTRIES["leaky"],), 1, ("output", "x"), (), 0.0, 1, 1)
    assert (each.name, each.complete, each.silent) == ("leaky", True, True)
