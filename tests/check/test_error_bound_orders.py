"""Right results stay inside, on every operation: any order of summation, blocked, pairwise, with or without FMA."""

import itertools

import numpy as np
import pytest
from error_bounds import AFFECTED, computed, defined, drawn, shares
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding_scalars import ORDERS, Machine, floats

from unet_ref.check import PROFILES, error_bound, ratio
from unet_ref.check.operation import Case
from unet_ref.check.table import OPERATIONS

every = pytest.mark.parametrize("name", AFFECTED)
MACHINES = list(itertools.product(ORDERS, (False, True)))


def emulated(name, seed, dtype, sums):
    """A case, and the definition's results with sums in that dtype, in an order that goes by the seed."""
    case, dy = drawn(name, seed, dtype)
    order, fma = MACHINES[seed % len(MACHINES)]
    machine = Machine(np.random.default_rng(seed), sums, order, fma=fma)
    found = {key: floats(value).astype(dtype) for key, value in defined(name, case, dy, machine.array).items()}
    return case, dy, found


@every
@pytest.mark.parametrize(
    ("profile", "dtype", "sums"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("float16", "float16", "float32"),
        ("float16-accumulate", "float16", "float16"),
    ],
)
def test_any_order(name, profile, dtype, sums):
    for seed in range(10):
        case, dy, found = emulated(name, seed, dtype, sums)
        assert max(shares(name, case, dy, found, profile).values()) <= 1


@every
@pytest.mark.parametrize("profile", [name for name, kind in PROFILES.items() if kind.dtype == "float32"])
def test_looser_arithmetics_hold_more(name, profile):
    """What is within float32 is within every other arithmetic of float32 arrays."""
    case, dy, found = emulated(name, 3, "float32", "float32")
    assert max(shares(name, case, dy, found, profile).values()) <= 1


@every
def test_sums_in_float16_are_seen(name):
    """Within their own arithmetic, outside that of float32 sums, or of float32."""
    worst = dict.fromkeys(("float16", "float32"), 0.0)
    for seed in range(10):
        case, dy, found = emulated(name, seed, "float16", "float16")
        for profile in worst:
            worst[profile] = max(worst[profile], *shares(name, case, dy, found, profile).values())
    assert worst["float32"] > 100
    if name not in ("pad2d", "upsample_nearest2d", "max_pool2d", "mse_loss"):  # of few roundings
        assert worst["float16"] > 1


numbers = st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False)


@settings(max_examples=200)
@given(
    terms=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40),
    machine=st.sampled_from(MACHINES),
    bias=st.none() | numbers,
)
def test_sums_of_any_numbers(terms, machine, bias):
    """Huge and tiny ones together, products that underflow, cancellation: one output of a linear layer."""
    order, fma = machine
    x, w = (np.array(side, dtype=np.float32) for side in zip(*terms, strict=True))
    b = None if bias is None else np.float32([bias])
    case = Case({"x": x, "weight": w[None], "bias": b}, {})
    with np.errstate(all="ignore"):
        found = defined("linear", case, None, Machine(np.random.default_rng(0), "float32", order, fma=fma).array)
    bounds = error_bound("linear", case.arrays)
    assert ratio(floats(found["y"]), bounds.reference[0], bounds.output) <= 1


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_unet_ref_is_inside(name, dtype):
    """In every dtype; longdouble as if it were float64."""
    for seed in range(25):
        case, dy = drawn(name, seed, "float64" if dtype == "longdouble" else dtype)
        found = computed(name, case.map(lambda array: array.astype(dtype)), None if dy is None else dy.astype(dtype))
        profile = "float64" if dtype == "longdouble" else dtype
        assert max(shares(name, case, dy, found, profile).values()) <= (1e-30 if dtype == "longdouble" else 1)
