"""A module with a wrong layer is told so by that layer's name; a right one holds; both are left as they were."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="modules are PyTorch's: pip install torch")
from models import torch_twins

from unet_ref.errors import DTypeError, ShapeError
from unet_ref.judge.torch_modules import compare_torch

pytestmark = pytest.mark.torch

FILM = {"in_channels": 3, "weather_channels": 4, "base_channels": 2, "film_hidden": 5}
NETWORKS = {
    "unet2": ({"base_channels": 2}, {"x": (2, 1, 8, 6)}),
    "unet_film": (FILM, {"x": (2, 3, 16, 32), "weather": (2, 4)}),
    "resnet50": ({"base_channels": 1, "num_classes": 5}, {"x": (2, 3, 32, 64)}),
    "resnet_unet": ({"base_channels": 1}, {"x": (2, 1, 16, 32)}),
    "context_unet": ({"n_feat": 8, "height": 16}, {"x": (2, 3, 16, 16), "t": (2, 1), "c": (2, 10)}),
    "unet": ({"base_channels": 2, "depth": 2, "padding": 0}, {"x": (1, 3, 44, 48)}),
}


def twin(name, dtype="float32", seed=3, **options):
    torch.manual_seed(seed)
    options = dict(options or NETWORKS[name][0])
    if name == "unet2":
        plain = vars(torch_twins.CLASSIC) | {"base_channels": options.pop("base_channels")}
        options["config"] = torch_twins.SimpleNamespace(**plain)
    module = torch_twins.build(name, options).to(getattr(torch, dtype))
    for part in module.modules():  # statistics that have run, weights of norms that are not 1
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
        if isinstance(part, (torch.nn.BatchNorm2d, torch.nn.GroupNorm)):
            torch.nn.init.uniform_(part.weight, -1.5, 1.5)
            torch.nn.init.normal_(part.bias)
    return module


def judge(name, module, **more):
    options, inputs = NETWORKS[name]
    return compare_torch(module, name, inputs, options=options, **more)


@pytest.mark.parametrize(("dtype", "training"), [("float32", True), ("float64", False), ("float64", True)])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_modules_hold(name, dtype, training):
    report = judge(name, twin(name, dtype).train(training))
    assert report, report.verdict()
    named = {row.tensor for row in report.rows}
    assert any(tensor.startswith("grad.activation.") for tensor in named)
    assert {t for t in named if t.startswith("grad.param.")} == {
        f"grad.param.{n}" for n, _ in twin(name).named_parameters()
    }
    assert "grad.input.x" in named


def guilty(name, module, *, backward=False):
    report = judge(name, module.train())
    first = report.first(backward=backward)
    assert first is not None, report.verdict()
    return first.tensor


@pytest.mark.parametrize(
    ("name", "layer", "attributes"),
    [
        (
            "unet_film",
            "up2_conv.double_conv.3",
            {"padding_mode": "replicate", "_reversed_padding_repeated_twice": (1,) * 4},
        ),
        ("unet_film", "down3.1.double_conv.4", {"eps": 1e-3}),
        ("unet_film", "down2.0", {"ceil_mode": True, "kernel_size": 2, "stride": 2, "padding": 0, "dilation": (1, 1)}),
        ("resnet50", "layer2.1.bn2", {"eps": 1e-2}),
        ("resnet50", "layer1.0.downsample.1", {"training": False}),
        ("context_unet", "up0.1", {"num_groups": 4}),
        ("context_unet", "to_vec.1", {"approximate": "tanh"}),
        ("resnet_unet", "decoder.decoder_layers.1.Up.up.0", {"mode": "bilinear"}),
    ],
)
def test_a_wrong_layer_is_the_first_guilty_one(name, layer, attributes):
    module = twin(name)
    if "training" in attributes:
        module.train()
        part = module.get_submodule(layer)
        part.forward = lambda x: torch.nn.functional.batch_norm(
            x, part.running_mean, part.running_var, part.weight, part.bias
        )
    else:
        for attribute, value in attributes.items():
            setattr(module.get_submodule(layer), attribute, value)
    if "ceil_mode" in attributes:
        module.get_submodule(layer).forward = lambda x: torch.nn.functional.avg_pool2d(x, 2)
    assert guilty(name, module) == f"activation.{layer}"


@pytest.mark.parametrize(
    ("name", "step"),
    [("unet_film", "cat1"), ("unet2", "concat"), ("unet", "up.0.concat"), ("context_unet", "up1.concat")],
)
def test_concatenation_the_wrong_way_round(name, step, monkeypatch):
    cat = torch.cat
    monkeypatch.setattr(torch, "cat", lambda arrays, dim=0: cat(list(arrays)[::-1], dim))
    assert guilty(name, twin(name)) == f"activation.{step}"


def test_a_function_without_a_module_is_judged_by_what_the_next_one_gets(monkeypatch):
    monkeypatch.setattr(torch_twins.functional, "relu", torch.nn.functional.leaky_relu)
    assert guilty("unet2", twin("unet2")) == "activation.down1_1.relu"


class Halved(torch.autograd.Function):
    """Right forward, half the gradient backward."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad / 2


def test_a_wrong_backward_pass_is_named():
    module = twin("unet_film")
    layer = module.get_submodule("up3_conv.double_conv.3")
    right = type(layer).forward
    layer.forward = lambda x: right(layer, Halved.apply(x))
    report = judge("unet_film", module)
    assert report.first() is None
    assert report.first(backward=True).tensor == "grad.activation.up3_conv.double_conv.2"


def test_another_shape_is_a_finding():
    module = twin("unet2")
    module.out1x1.padding = (1, 1)
    first = judge("unet2", module).first()
    assert first.tensor == "activation.out1x1"
    assert "shape" in first.detail


def test_the_module_is_left_as_it_was():
    module = twin("resnet50")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.fc.bias.grad = torch.full((5,), 7.0)
    inputs = {"x": np.random.default_rng(0).standard_normal((2, 3, 32, 64))}
    kept = inputs["x"].copy()
    with torch.no_grad():
        assert compare_torch(module, "resnet50", inputs, options=NETWORKS["resnet50"][0], grad_output=torch.ones(2, 5))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(module.fc.bias.grad, torch.full((5,), 7.0))
    assert all(parameter.grad is None for name, parameter in module.named_parameters() if name != "fc.bias")
    assert all(part.inplace for part in module.modules() if isinstance(part, torch.nn.ReLU))
    assert not any(part._forward_hooks for part in module.modules())
    assert np.array_equal(inputs["x"], kept)


def test_frozen_parameters_and_a_left_out_input():
    module = twin("context_unet")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_("down" not in name)
    inputs = {name: shape for name, shape in NETWORKS["context_unet"][1].items() if name != "c"}
    report = compare_torch(module, "context_unet", inputs, options=NETWORKS["context_unet"][0])
    assert report, report.verdict()
    assert not any(row.tensor.startswith("grad.param.down") for row in report.rows)


def test_half_precision():
    module = twin("unet2", "bfloat16")
    assert judge("unet2", module)
    module.down2_1.forward = lambda x: torch.nn.functional.conv2d(x, module.down2_1.weight, None, padding=1)
    assert guilty("unet2", module) == "activation.down2_1"


def test_what_does_not_fit_is_said():
    with pytest.raises(ShapeError, match=r"compare_torch: model_id \('u'\) must be one of unet2"):
        compare_torch(twin("unet2"), "u", {})
    with pytest.raises(ShapeError, match=r"inputs \(y\) must have the image x"):
        compare_torch(twin("unet2"), "unet2", {"y": (2, 1, 8, 6)}, options={"base_channels": 2})
    module = twin("unet2")
    module.down1_1.weight.data = module.down1_1.weight.data.to(torch.complex64)
    with pytest.raises(DTypeError, match=r"module's dtype \(complex64\)"):
        compare_torch(module, "unet2", {"x": (1, 1, 4, 4)})
