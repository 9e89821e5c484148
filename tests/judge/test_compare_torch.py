"""``compare_torch`` on a stand-in for PyTorch: what its hooks gather and what it leaves as it was, wherever tests run."""

import sys

import numpy as np
import pytest
from judge import torch_stand_in

from unet_ref import models
from unet_ref.errors import DTypeError, ShapeError
from unet_ref.judge import compare_torch

OPTIONS = {"in_channels": 3, "weather_channels": 4, "base_channels": 2, "film_hidden": 5}
INPUTS = {"x": (2, 3, 16, 32), "weather": (2, 4)}


@pytest.fixture
def build(monkeypatch, rng):
    """Makes a module with random statistics, and puts the stand-in in PyTorch's place."""

    def make(dtype="float32", model=None, **how):
        model = model or models.UNetFiLM(**OPTIONS)
        state = model.init(rng, "float32" if dtype == "bfloat16" else dtype)
        for name in model.buffer_names():
            if state[name].dtype.kind == "f":
                state[name] = rng.uniform(0.5, 2, state[name].shape).astype(state[name].dtype)
        module = torch_stand_in.Module(model, state, dtype=f"torch.{dtype}", **how)
        monkeypatch.setitem(sys.modules, "torch", torch_stand_in.torch(module))
        return module

    return make


@pytest.mark.parametrize(("dtype", "training"), [("float32", True), ("float64", False), ("float64", True)])
def test_a_right_module_holds(build, dtype, training):
    report = compare_torch(build(dtype, training=training), "unet_film", INPUTS, options=OPTIONS)
    assert report, report.verdict()
    named = {row.tensor for row in report.rows}
    assert {"output", "activation.inc.double_conv.0", "activation.cat1", "grad.activation.outc"} <= named
    assert {"grad.param.film.0.bias", "grad.input.x", "grad.input.weather"} <= named
    assert ("buffer.inc.double_conv.1.running_mean" in named) == training


@pytest.mark.parametrize("layer", ["down1.1.double_conv.3", "up2_trans", "outc"])
def test_a_wrong_layer_is_the_first_guilty_one(build, layer):
    module = build(after=lambda name, y: y * y.dtype.type(1.001) if name == layer else y)
    assert compare_torch(module, "unet_film", INPUTS, options=OPTIONS).first().tensor == f"activation.{layer}"


def test_a_wrong_gradient_is_named(build):
    module = build(backwards=lambda name, grad: grad / 2 if name == "up3_conv.double_conv.0" else grad)
    report = compare_torch(module, "unet_film", INPUTS, options=OPTIONS)
    assert report.first() is None
    assert report.first(backward=True).tensor == "grad.activation.up3_conv.double_conv.0"


def test_another_shape_is_a_finding_and_there_is_no_backward_pass(build):
    module = build(after=lambda name, y: y[..., 1:] if name == "outc" else y)
    report = compare_torch(module, "unet_film", INPUTS, options=OPTIONS)
    assert report.first().tensor == "activation.outc"
    assert not any(row.tensor.startswith("grad.") for row in report.rows)


def test_what_is_no_tensor_passes_by(build):
    class Words:
        shape, requires_grad = (2, 1, 16, 32), False

        def detach(self):
            return torch_stand_in.Tensor(np.zeros(self.shape, "float32"))

    module = build(training=False)
    run = module.parts["outc"].register_forward_hook
    module.parts["outc"].register_forward_hook = lambda hook: run(lambda part, inputs, _: hook(part, inputs, Words()))
    report = compare_torch(module, "unet_film", INPUTS, options=OPTIONS)
    assert report, report.verdict()
    assert "activation.outc" not in {row.tensor for row in report.rows}


def test_the_module_is_left_as_it_was(build):
    module = build()
    before = {name: tensor.array.copy() for name, tensor in module.state.items()}
    x = np.random.default_rng(0).standard_normal(INPUTS["x"])
    kept = x.copy()
    dy = torch_stand_in.Tensor(np.ones((2, 1, 16, 32), "float32"))
    assert compare_torch(module, "unet_film", {"x": x, "weather": INPUTS["weather"]}, options=OPTIONS, grad_output=dy)
    for name, tensor in module.state.items():
        np.testing.assert_array_equal(tensor.array, before[name])
    np.testing.assert_array_equal(x, kept)
    assert module.parts["relu"].inplace
    assert not any(part.hooks for part in module.modules())


def test_hooks_go_even_where_the_module_fails(build):
    def fails(name, y):
        raise RuntimeError(name)

    module = build(after=fails)
    with pytest.raises(RuntimeError, match=r"inc\.double_conv\.0"):
        compare_torch(module, "unet_film", INPUTS, options=OPTIONS)
    assert module.parts["relu"].inplace
    assert not any(part.hooks for part in module.modules())


def test_frozen_parameters_have_no_gradient(build):
    report = compare_torch(build(frozen=("outc.bias", "film.2.weight")), "unet_film", INPUTS, options=OPTIONS)
    assert report
    assert {"grad.param.outc.bias", "grad.param.film.2.weight"} <= set(report.missing)


def test_an_input_that_is_left_out(build):
    model = models.ContextUnet(n_feat=8, height=16)
    inputs = {"x": (2, 3, 16, 16), "t": (2, 1)}
    report = compare_torch(build("float64", model), "context_unet", inputs, options={"n_feat": 8, "height": 16})
    assert report, report.verdict()
    assert "grad.input.c" not in {row.tensor for row in report.rows}


def test_bfloat16_comes_in_float32(build):
    module = build("bfloat16", training=False)
    report = compare_torch(module, "unet_film", INPUTS, options=OPTIONS)
    assert report, report.verdict()
    worst = max(row.ratio for row in report.rows)
    assert worst < 1e-2  # the stand-in computes in float32, far inside bfloat16's bounds


def test_what_does_not_fit(build):
    module = build()
    with pytest.raises(ShapeError, match="must be one of unet2, "):
        compare_torch(module, "unet9", INPUTS)
    with pytest.raises(ShapeError, match=r"inputs \(weather\) must have the image x"):
        compare_torch(module, "unet_film", {"weather": (2, 4)}, options=OPTIONS)
    with pytest.raises(ShapeError, match="missing"):
        compare_torch(module, "unet", {"x": (2, 3, 16, 32)}, options={"base_channels": 2, "depth": 2})
    module = build()
    next(iter(module.parameters())).dtype = "torch.complex64"
    with pytest.raises(DTypeError, match=r"dtype \(complex64\) must be float64"):
        compare_torch(module, "unet_film", INPUTS, options=OPTIONS)
