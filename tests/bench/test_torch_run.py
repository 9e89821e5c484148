"""A network's own definition on tensors: on a PyTorch of our own operations the same bits, on the real one the twins'."""

import sys

import numpy as np
import pytest
from bench import fake_torch
from models.twin_cases import CASES, build, random_inputs, random_state

from unet_ref.bench.torch_run import TorchNetwork

BATCHED = [case for case in CASES if len(case.shapes[0]) == 4]


@pytest.fixture
def torch(monkeypatch):
    made = fake_torch.make()
    monkeypatch.setitem(sys.modules, "torch", made)
    return made


def held(twin, inputs, leaf=False):
    return [None if array is None else twin.tensor(array, leaf=leaf) for array in inputs.values()]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("case", BATCHED, ids=str)
def test_the_same_steps_with_the_same_bits(case, training, torch, rng):
    model = build(case)
    state, inputs = random_state(model, rng), random_inputs(model, case, rng)
    trace = model.trace(state, *inputs.values(), training=training)
    twin = TorchNetwork(model, state)
    y = twin.output(held(twin, inputs), training=training)
    np.testing.assert_array_equal(y.view(np.ndarray), trace.output, strict=True)
    for name in model.buffer_names():
        np.testing.assert_array_equal(twin.state[name].view(np.ndarray), trace.buffers[name], err_msg=name)


def test_the_callers_state_stays_as_it_was(torch, rng):
    case = next(case for case in BATCHED if case.name == "resnet_unet")
    model = build(case)
    state = random_state(model, rng)
    before = {name: array.copy() for name, array in state.items()}
    twin = TorchNetwork(model, state)
    twin.output(held(twin, random_inputs(model, case, rng)), training=True)
    for name, array in before.items():
        np.testing.assert_array_equal(state[name], array)


def test_both_passes(torch, rng):
    case = next(case for case in BATCHED if case.name == "unet_film")
    model = build(case)
    state, inputs = random_state(model, rng), random_inputs(model, case, rng)
    twin = TorchNetwork(model, state)
    np.testing.assert_array_equal(twin.forward(held(twin, inputs)), model.forward(state, *inputs.values()))
    y, grads = twin.both(held(twin, inputs, leaf=True), None)
    np.testing.assert_array_equal(y, model.forward(state, *inputs.values(), training=True))
    parameters = [name for name in state if name not in model.buffer_names()]
    assert [grad.shape for grad in grads] == [state[name].shape for name in parameters] + [
        array.shape for array in inputs.values()
    ]
    assert all(twin.state[name].requires_grad == (name in parameters) for name in state)


@pytest.mark.torch
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("case", BATCHED, ids=str)
def test_the_twins_numbers(case, training, rng):
    """Outputs, gradients of inputs and parameters, and running statistics of plain modules written from the seeds."""
    import torch
    from models import torch_twins
    from models.twin_cases import relative_errors

    torch.set_num_threads(1)
    model = build(case)
    state, inputs = random_state(model, rng), random_inputs(model, case, rng)
    grad_output = rng.standard_normal(model.output_shape(*case.shapes))
    twin = TorchNetwork(model, state)
    leaves = held(twin, inputs, leaf=True)
    y = twin.output(leaves, training=training)
    present = [leaf for leaf in leaves if leaf is not None]
    grads = torch.autograd.grad(y, [*twin.parameters, *present], twin.tensor(grad_output))
    names = [f"param.{name}" for name in state if name not in model.buffer_names()]
    names += [f"input.{name}" for name, array in inputs.items() if array is not None]
    found = {"output": y, **dict(zip(names, grads, strict=True))}
    found |= {f"buffer.{name}": twin.state[name] for name in model.buffer_names()}

    modules = torch_twins.build(case.name, case.options)
    expected = torch_twins.run(modules, state, inputs, grad_output, training=training)
    found = {name: tensor.detach().numpy() for name, tensor in found.items()}
    assert found.keys() == expected.keys()
    assert max(relative_errors(found, expected).values()) < 1e-12
