"""PyTorch agrees with every operation, forward and every gradient, in float64 to 1e-10."""

import numpy as np
import pytest
from torch_cases import CASES, draw

from unet_ref import ops
from unet_ref.check.table import OPERATIONS

pytest.importorskip("torch", reason="the live comparisons need PyTorch: pip install torch")
from torch_adapters import ADAPTERS, torch_pass

pytestmark = pytest.mark.torch

TOLERANCE = 1e-10
DRAWS = 200


def compare(name, arrays, options, rng):
    """Asserts that both agree; on failure a line that can be pasted."""
    call = f"{name}({', '.join(f'{k}={describe(v)}' for k, v in arrays.items())}, **{options})"
    y, _ = torch_pass(name, arrays, options)
    ours = getattr(ops, name)(*arrays.values(), **options)
    assert_close(ours, y, call)
    if not hasattr(ops, f"{name}_backward"):
        return
    grad_output = rng.standard_normal(np.shape(y))
    _, slopes = torch_pass(name, arrays, options, grad_output)
    grads = getattr(ops, f"{name}_backward")(grad_output, *arrays.values(), **options)
    for argument in OPERATIONS[name].gradients:
        mine = getattr(grads, argument) if hasattr(grads, "_fields") else grads
        if arrays[argument] is None:
            assert mine is None, f"{call}: a gradient of {argument}, which is absent"
        else:
            assert_close(mine, slopes[argument], f"{call}: gradient of {argument}")


def describe(value):
    return [describe(item) for item in value] if isinstance(value, tuple) else getattr(value, "shape", None)


def assert_close(ours, theirs, call):
    if isinstance(ours, tuple):
        for mine, other in zip(ours, theirs, strict=True):
            assert_close(mine, other, call)
        return
    assert np.shape(ours) == np.shape(theirs), f"{call}: shape {np.shape(ours)}, PyTorch has {np.shape(theirs)}"
    scale = np.max(np.abs(theirs), initial=1.0, where=np.isfinite(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=call)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(ADAPTERS)))
def test_own_draws(name):
    """The widest range of arguments, drawn apart from the package."""
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        compare(name, *draw(name, rng), rng)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(ADAPTERS)))
def test_draws_of_the_table(name):
    """The arguments that the checker draws."""
    for seed in range(DRAWS // 2):
        rng = np.random.default_rng(seed)
        compare(name, *OPERATIONS[name].draw(rng), rng)


def test_every_operation_of_the_table_is_compared():
    assert set(OPERATIONS) <= set(ADAPTERS)
    assert set(ADAPTERS) == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_draws_reach_the_whole_range(name):
    """Every option takes several values, and where there are batches there are empty and absent ones."""
    drawn = [draw(name, np.random.default_rng(seed)) for seed in range(DRAWS)]
    for option in drawn[0][1]:
        assert len({repr(options.get(option)) for _, options in drawn}) > 1, option
    for argument in drawn[0][0]:
        values = [arrays[argument] for arrays, _ in drawn]
        assert argument != "bias" or any(value is None for value in values)
    shapes = [
        np.shape(next(iter(arrays.values())))
        for arrays, _ in drawn
        if not isinstance(next(iter(arrays.values())), tuple)
    ]
    if name in (
        "conv2d",
        "conv_transpose2d",
        "max_pool2d",
        "avg_pool2d",
        "adaptive_avg_pool2d",
        "pad2d",
        "center_crop2d",
    ):
        assert {len(shape) for shape in shapes} == {3, 4}
        assert any(shape[0] == 0 for shape in shapes if len(shape) == 4)


# Sizes at which the work is cut into tiles, blocks and tasks for threads; one number has a remainder everywhere.
LARGE = [
    ("conv2d", {"x": (2, 48, 71, 65), "weight": (40, 48, 3, 3), "bias": (40,)}, {"padding": 1}),
    ("conv2d", {"x": (3, 64, 37, 35), "weight": (96, 16, 3, 2), "bias": None}, {"stride": (2, 1), "groups": 4}),
    ("conv2d", {"x": (2, 3, 150, 131), "weight": (33, 3, 7, 7), "bias": (33,)}, {"stride": 2, "padding": 3}),
    ("conv2d", {"x": (2, 130, 40, 41), "weight": (70, 130, 1, 1), "bias": (70,)}, {}),
    ("conv2d", {"x": (2, 5, 90, 91), "weight": (6, 5, 5, 4), "bias": (6,)}, {"dilation": (3, 2), "padding": ((5, 6), (1, 4))}),
    ("conv_transpose2d", {"x": (2, 64, 37, 33), "weight": (64, 40, 2, 2), "bias": (40,)}, {"stride": 2}),
    ("conv_transpose2d", {"x": (1, 30, 45, 50), "weight": (30, 8, 4, 3), "bias": None}, {"stride": (3, 2), "padding": 1, "groups": 2}),
    ("max_pool2d", {"x": (3, 40, 131, 67)}, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("avg_pool2d", {"x": (3, 40, 131, 67)}, {"kernel_size": (3, 2), "stride": (2, 3), "padding": 1}),
    ("adaptive_avg_pool2d", {"x": (3, 40, 131, 67)}, {"output_size": (7, 5)}),
    ("batch_norm", {"x": (5, 33, 61, 59), "weight": (33,), "bias": (33,), "running_mean": None, "running_var": None}, {"training": True}),
    ("group_norm", {"x": (5, 36, 61, 59), "weight": (36,), "bias": (36,)}, {"num_groups": 4}),
    ("film", {"x": (5, 36, 61, 59), "gamma": (5, 36), "beta": (5, 36)}, {}),
    ("gelu", {"x": (5, 36, 61, 59)}, {}),
    ("relu", {"x": (5, 36, 61, 59)}, {}),
    ("linear", {"x": (70, 515), "weight": (301, 515), "bias": (301,)}, {}),
    ("upsample_bilinear2d", {"x": (3, 40, 61, 59)}, {"scale_factor": 2}),
    ("upsample_nearest2d", {"x": (3, 40, 61, 59)}, {"scale_factor": (2, 3)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shapes", "options"), LARGE, ids=[f"{k}-{row[0]}" for k, row in enumerate(LARGE)])
def test_large_images(name, shapes, options, rng):
    arrays = {key: None if shape is None else rng.standard_normal(shape) for key, shape in shapes.items()}
    compare(name, arrays, options, rng)


# PyTorch's bilinear kernel multiplies neighbours of weight zero too, and 0 * inf is NaN: its outputs are NaN at pixels
# that do not depend on the infinite one.
NOT_BY_THE_DEFINITION = {"upsample_bilinear2d"}


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(ADAPTERS) - NOT_BY_THE_DEFINITION))
def test_nan_and_infinity(name):
    """One pixel of the input NaN, or infinite of either sign: the outputs are NaN and infinite where PyTorch's are."""
    for seed in range(DRAWS // 4):
        rng = np.random.default_rng(seed)
        arrays, options = draw(name, rng)
        first = next(iter(arrays))
        whole = arrays[first] if isinstance(arrays[first], tuple) else (arrays[first],)
        for array in whole:
            array.flat[rng.integers(array.size, size=min(1, array.size))] = (np.nan, np.inf, -np.inf)[seed % 3]
        compare(name, arrays, options, rng)


@pytest.mark.parametrize("factor", [1.0005, -1.0], ids=["0.05 % off", "wrong sign"])
@pytest.mark.parametrize("argument", ["x", "weight", "bias"])
def test_a_planted_mistake_is_caught(argument, factor, monkeypatch):
    right = ops.conv2d_backward

    def wrong(*args, **options):
        grads = right(*args, **options)
        slope = getattr(grads, argument)
        return grads if slope is None else grads._replace(**{argument: slope * factor})

    monkeypatch.setattr(ops, "conv2d_backward", wrong)
    with pytest.raises(AssertionError, match=f"gradient of {argument}"):
        test_own_draws("conv2d")
