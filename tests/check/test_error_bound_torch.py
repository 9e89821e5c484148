"""PyTorch in float32 is within the bounds; its channels-last group norm is known to be wrong, and is not."""

import numpy as np
import pytest
from error_bounds import computed, shares, tensors
from torch_cases import draw

from unet_ref.check.operation import Case
from unet_ref.check.table import OPERATIONS

torch = pytest.importorskip("torch", reason="PyTorch's bounds need PyTorch: pip install torch")
from torch_adapters import ADAPTERS, torch_pass

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(ADAPTERS)))
def test_pytorch_is_inside(name):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        drawn = Case(*draw(name, rng)) if seed % 2 else OPERATIONS[name].draw(rng)
        case = drawn.map(lambda array: array.astype("float32"))
        y, grads = torch_pass(name, case.arrays, case.options)
        dy = None
        if OPERATIONS[name].backward is not None:
            dy = np.asarray(rng.standard_normal(np.shape(y))).astype("float32")
            y, grads = torch_pass(name, case.arrays, case.options, dy)
        found = {**computed(name, case, dy), **tensors(y, grads)}
        assert max(shares(name, case, dy, found).values()) <= 1, (seed, case.options)


def group_norm(x, weight, bias, dy, memory_format):
    leaves = [torch.from_numpy(x).to(memory_format=memory_format), torch.from_numpy(weight), torch.from_numpy(bias)]
    for leaf in leaves:
        leaf.requires_grad_()
    y = torch.nn.functional.group_norm(leaves[0], 3, leaves[1], leaves[2])
    grads = torch.autograd.grad(y, leaves, torch.from_numpy(dy).to(memory_format=memory_format))
    return {key: value.detach().numpy() for key, value in zip(("y", "x", "weight", "bias"), (y, *grads), strict=True)}


@pytest.mark.parametrize("mean", [0, 10, 100, 1000, 10_000])
def test_group_norm_of_a_large_mean(rng, mean):
    """Contiguous it is right at any mean. Channels last PyTorch 2.13 takes the variance in one pass."""
    x = (rng.standard_normal((2, 6, 5, 7)) + mean).astype("float32")
    w, b = (rng.standard_normal(6).astype("float32") for _ in "wb")
    dy = rng.standard_normal(x.shape).astype("float32")
    case = Case({"x": x, "weight": w, "bias": b}, {"num_groups": 3})
    assert max(shares("group_norm", case, dy, group_norm(x, w, b, dy, torch.contiguous_format)).values()) <= 1
    found = group_norm(x, w, b, dy, torch.channels_last)
    assert max(shares("group_norm", case, dy, found, "float32-one-pass").values()) <= 1
    wrong = shares("group_norm", case, dy, found)
    if mean in (100, 1000, 10_000):
        assert wrong["y"] > 1, "fixed? then docs/error-bounds.md and the catalogue of bugs need to say so"
        assert wrong["x"] > 10
