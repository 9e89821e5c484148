"""The parts of the checker, each on its own."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet_ref.check.colouring import COLOURS, Coordinates, Directions, colour, random_direction, slabs
from unet_ref.check.conduct import _bits
from unet_ref.check.dual import Dual
from unet_ref.check.evaluate import chunks, outputs, spread
from unet_ref.check.layouts import strided
from unet_ref.check.lone import examine
from unet_ref.check.report import HOLDS, Report, Row
from unet_ref.check.rounding import NUDGES, working_nudge
from unet_ref.check.stacking import stackable
from unet_ref.check.steps import choose_step, is_affine, ladder, magnitude, rung_errors
from unet_ref.check.subject import Subject, argument_names, by_argument


def subject(forward, *arrays):
    return Subject(forward, lambda g, *rest: g, arrays, argument_names(forward, len(arrays)))


# --- colouring ---------------------------------------------------------------------------------------------------


@given(data=st.data(), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3), outputs=st.integers(1, 12))
def test_coordinates_of_one_colour_share_no_output(data, sizes, outputs):
    """Whatever depends on whatever: groups cover all coordinates once, and their outputs are disjoint."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    depends = rng.random((*sizes, outputs)) < data.draw(st.sampled_from([0.05, 0.3, 0.9]))
    changed = {
        (axis, k): depends.take(k, axis).reshape(-1, outputs).any(axis=0)
        for axis, size in enumerate(sizes) for k in range(size)
    }  # fmt: skip
    plan = colour(tuple(sizes), outputs, changed, 5)
    seen = []
    for k in range(len(plan)):
        probe = plan.probe(k)
        seen += list(probe.coordinates)
        flat = depends.reshape(-1, outputs)[probe.coordinates]
        assert flat.sum(axis=0).max() <= 1
        for output in range(outputs):
            owners = np.flatnonzero(flat[:, output])
            assert not owners.size or probe.owner[output] == owners[0]
        others = np.ones(plan.shape, dtype=bool)
        others.flat[probe.coordinates] = False
        assert not probe.direction[others].any()
        assert (np.abs(probe.direction[~others]) >= 0.5).all()
    assert sorted(seen) == list(range(np.prod(sizes)))


def test_how_many_colours_a_convolution_needs():
    """Nine for a 3x3 window on one channel, one for what is elementwise."""
    rows = np.abs(np.subtract.outer(np.arange(8), np.arange(8))) <= 1
    near = {(0, k): np.repeat(rows[k], 8) for k in range(8)} | {(1, k): np.tile(rows[k], 8) for k in range(8)}
    assert len(colour((8, 8), 64, near, 0)) == 9
    own = np.eye(8, dtype=bool)
    alone = {(0, k): np.repeat(own[k], 8) for k in range(8)} | {(1, k): np.tile(own[k], 8) for k in range(8)}
    assert len(colour((8, 8), 64, alone, 0)) == 1


def test_more_colours_than_are_compared():
    """Beyond 64 classes an index is on its own, even where it would fit."""
    size = COLOURS + 6
    dense = np.zeros((size, size + 1), dtype=bool)
    dense[:, 0] = True
    dense[-1, 0] = dense[-2, 0] = False
    dense[-1, -1] = dense[-2, -2] = True
    plan = colour((size,), size + 1, {(0, k): row for k, row in enumerate(dense)}, 0)
    assert len(plan) == size - 2


def test_slabs_leave_out_what_cannot_help():
    assert list(slabs((2, 1, 3), 5)) == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2)]
    assert list(slabs((2, 3), 1)) == []
    assert list(slabs((2, 1 << 14), 1 << 13)) == [(0, 0), (0, 1)]


def test_plans_of_nothing_and_of_one():
    assert len(colour((0, 3), 4, {}, 0)) == 0
    probe = colour((), 4, {}, 0).probe(0)
    assert (probe.coordinates.tolist(), probe.owner.tolist()) == ([0], [0, 0, 0, 0])
    assert len(Directions((2, 3), 4, 7, 1)) == 7
    assert not np.array_equal(random_direction((3,), 1), random_direction((3,), 2))
    assert Coordinates((2,), 1, colour((2,), 1, {}, 0).axes, 0).probe(1).coordinates.tolist() == [1]


# --- evaluation --------------------------------------------------------------------------------------------------


@given(count=st.integers(0, 200), size=st.integers(0, 1 << 20), stacked=st.booleans())
def test_chunks_cover_the_range_in_order(count, size, stacked):
    parts = list(chunks(count, size, stacked))
    assert [k for part in parts for k in part] == list(range(count))
    assert all(len(part) == len(parts[0]) for part in parts[:-1])


def test_spread_without_an_executor():
    assert spread(None, abs, [-1, 2, -3]) == [1, 2, 3]


def test_stacking_is_one_call(rng):
    calls = []

    def forward(x, other):
        calls.append(x.shape)
        return x**2 + other

    x, other = rng.standard_normal((2, 3, 4))
    s = subject(forward, x, other)
    y = s.y()
    stack = stackable(s, y, 0 * y, rng)
    assert stack == (0, 1)
    calls.clear()
    for found, k in zip(outputs(s, 0, [x, 2 * x, 3 * x], stack), (1, 2, 3), strict=True):
        np.testing.assert_array_equal(found, (k * x) ** 2 + other)
    assert calls == [(9, 4)]
    assert len(outputs(s, 1, [x, 2 * x], ())) == 2


@pytest.mark.parametrize(
    ("forward", "stack"),
    [
        (lambda x, w: x @ w, (0,)),
        (lambda x, w: x - x.mean(axis=0), ()),
        (lambda x, w: (x @ w).sum(), ()),
        (lambda x, w: x[:3] @ w, ()),
        (lambda x, w: x.reshape(3, 3) @ w, ()),
    ],
    ids=["linear", "across the batch", "one number", "the first three", "raises"],
)
def test_what_can_be_stacked(forward, stack, rng):
    """The weight is as long as the batch, and is not part of it."""
    s = subject(forward, rng.standard_normal((3, 3)), rng.standard_normal((3, 3)))
    y = s.y()
    assert stackable(s, y, 1e-12 * np.abs(y), rng) == stack


def test_integers_are_stacked_with_the_samples(rng):
    s = subject(lambda x, k: x[np.arange(len(x)), k], rng.standard_normal((4, 3)), rng.integers(0, 3, 4))
    assert stackable(s, s.y(), 1e-12 * np.abs(s.y()), rng) == (0, 1)
    only = subject(lambda k: k * 0.5, rng.integers(0, 3, 4))
    assert stackable(only, only.y(), np.zeros(4), rng) == ()


# --- steps -------------------------------------------------------------------------------------------------------


def test_affine_or_not(rng):
    x = rng.standard_normal((4, 3))
    weight = rng.standard_normal((3, 2))
    assert is_affine(subject(lambda x: x @ weight + 1, x), 0, rng)
    for bent in (np.sin, np.abs, lambda x: x + 1e-6 * x**3, lambda x: np.clip(x, -1, 1), np.log):
        with np.errstate(all="ignore"):
            assert not is_affine(subject(bent, x), 0, rng)


@pytest.mark.parametrize("length", [1e-6, 1.0, 1e6])
def test_steps_follow_the_functions_length(length, rng):
    """Not the size of x: the best step is a small part of the length over which f changes."""
    x = rng.standard_normal(20)
    s = subject(lambda x: np.sin(x / length), x)
    y = s.y()
    step, error = choose_step(s, 0, y, 1e-15 * (1 + np.abs(x) / length), rng)
    assert 1e-8 * length < step < 1e-2 * length
    assert error < 1e-4 * np.sum(np.abs(np.cos(x / length))) / length


def test_a_step_at_which_f_happens_to_be_flat_is_not_taken():
    """sin over whole periods: quotients at the large steps agree with each other, and with nothing else."""
    quotients = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    assert np.argmin(rung_errors(quotients, np.array([1e-12, 1e-11, 1e-10, 1e-9, 1e-8]))) == 2


def test_ladder_and_magnitude():
    steps = ladder(3.0)
    assert steps[0] == 2.0
    assert steps[1] / steps[2] == 8.0
    assert magnitude(np.zeros(3)) == magnitude(np.zeros(0)) == magnitude(np.array([np.inf])) == 1.0
    assert magnitude(np.array([-3.0, 2.0])) == 3.0


@pytest.mark.parametrize(("dtype", "nudge"), list(zip(("float64", "float32", "float16"), NUDGES, strict=True)))
def test_the_precision_that_a_function_works_in(dtype, nudge, rng):
    s = subject(lambda x: np.sin(x.astype(dtype)).astype(np.float64), rng.uniform(0.5, 2, 30))
    assert working_nudge(s, s.y(), rng) == nudge


# --- one coordinate alone ----------------------------------------------------------------------------------------


def alone(forward, x, index=0):
    s = subject(forward, np.asarray(x))
    y = s.y()
    return examine(s, 0, index, (), np.ones(y.shape), y, 1e-16 * np.abs(y))


@pytest.mark.parametrize("x", [0.0, 1e-9, -1e-9, 1e-5, 0.3])
def test_near_a_kink_and_at_it(x):
    found = alone(np.abs, [x, 2.0])
    assert found.kink == (x == 0)
    assert found.slope == pytest.approx(np.sign(x), abs=1e-9)
    assert (found.low, found.high) == (pytest.approx((-1, 1)) if x == 0 else (found.slope, found.slope))


def test_a_weak_kink_on_a_curve():
    found = alone(lambda x: np.sin(x) + 1e-3 * np.abs(x - 0.7), [0.7])
    assert found.kink
    assert found.high - found.low == pytest.approx(2e-3, rel=1e-3)


def test_where_nothing_moves():
    found = alone(lambda x: 0 * x + 3, [0.7])
    assert (found.kink, found.slope) == (False, 0.0)
    assert 1e-17 < found.bound < 1e-14  # an ulp of 3, seen from a distance of 1


def test_powers_of_dual_numbers():
    x = Dual(Fraction(2, 3), Fraction(1))
    for exponent in range(-3, 5):
        power = x**exponent
        assert power.value == x.value**exponent
        assert power.derivative == exponent * x.value ** (exponent - 1)


def test_dual_numbers_compare_by_their_value():
    """So do ReLU and max, whatever the derivatives are."""
    small, large, like = Dual(Fraction(1, 3), 7), Dual(Fraction(1, 2), -7), Dual(Fraction(1, 3), 0)
    assert [small < large, small <= large, small > large, small >= large, small == large] == [1, 1, 0, 0, 0]
    assert [small < like, small <= like, small > like, small >= like, small == like] == [0, 1, 0, 1, 1]
    assert [small < Fraction(1, 2), small == Fraction(1, 3), bool(small), bool(Dual(0, 1))] == [1, 1, 1, 0]
    assert repr(small) == "Dual(1/3, 7)"


# --- small things ------------------------------------------------------------------------------------------------


def test_names_of_arguments():
    assert argument_names(lambda x, weight, *rest, option=1: x, 4) == ("x", "weight", "arg2", "arg3")
    assert argument_names(max, 1) == ("arg0",)


def test_gradients_must_fit_the_arguments():
    names, varied = ("x", "weight", "target"), (0, 1)
    assert by_argument((1, 2), names, varied) == {0: 1, 1: 2}
    assert by_argument((1, 2, None), names, varied) == {0: 1, 1: 2, 2: None}
    assert by_argument({"weight": 5}, names, varied) == {1: 5}
    assert by_argument({"x": 1, "target": None}, names, varied) == {0: 1, 2: None}
    with pytest.raises(ValueError, match=r"backward returned 1 gradients for 3 arguments \(x, weight, target\), 2 of"):
        by_argument(1, names, varied)
    with pytest.raises(
        ValueError, match=r"backward returned a gradient for 'bias'; the arguments are x, weight, target"
    ):
        by_argument({"bias": 1}, names, varied)


def test_strided_copies_are_neither_contiguous_nor_different(rng):
    for shape in ((3, 4), (5,), (2, 3, 4)):
        x = rng.standard_normal(shape)
        copy = strided(x)
        np.testing.assert_array_equal(copy, x)
        assert not copy.flags.c_contiguous
        assert not copy.flags.f_contiguous
    assert strided(np.array(3.0)) == 3.0


def test_bits_tell_zeros_apart_and_leave_out_padding():
    assert _bits(np.array(0.0)) != _bits(np.array(-0.0))
    one, same = np.array([1.5, np.nan], dtype=np.longdouble), np.array([1.5, np.nan], dtype=np.longdouble)
    one.view(np.uint8)[-1] = 7  # not part of the number, where longdouble has 80 bits
    if np.finfo(np.longdouble).nmant == 63:
        assert _bits(one) == _bits(same)
    assert _bits(None) is None


def test_an_empty_report_holds_and_long_details_wrap():
    assert Report(())
    row = Row("x", "complex step", 3, 1e-3, 2e-3, HOLDS, " ".join(["word"] * 60))
    lines = str(Report((row,))).splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= 80
