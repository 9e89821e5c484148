"""Plans: what a network will cost, counted by hand, and beside what a real run takes."""

import gc
import tracemalloc

import numpy as np
import pytest
from models.twin_cases import CASES, build, random_inputs, random_state

from unet_ref import ops
from unet_ref.models import MODELS, ContextUnet, ResNet50, UNet, UNet2, UNet2Config, UNetFiLM
from unet_ref.models import state as states
from unet_ref.models.abstract import Abstract, Meter, Shapes
from unet_ref.models.plan import plan


def test_a_plan_counted_by_hand():
    """Two levels, one channel: small enough for paper. ``conv 3x3``: 9 products for each pair of channels and pixel."""
    found = plan(UNet2(in_channels=3, out_channels=2, config=UNet2Config(base_channels=2)), (5, 3, 4, 6))
    rows = {step.name: step for step in found.steps}
    pixels, quarter = 5 * 4 * 6, 5 * 2 * 3
    assert found.output_shape == (5, 2, 4, 6)
    assert [(row.multiply_adds, row.parameters) for row in rows.values() if row.parameters] == [
        (9 * 3 * 2 * pixels, 9 * 3 * 2 + 2),
        (9 * 2 * 2 * pixels, 9 * 2 * 2 + 2),
        (9 * 2 * 4 * quarter, 9 * 2 * 4 + 4),
        (9 * 4 * 4 * quarter, 9 * 4 * 4 + 4),
        (4 * 4 * 2 * quarter, 4 * 4 * 2 + 2),  # the transposed one: every input pixel meets every weight
        (9 * 4 * 2 * pixels, 9 * 4 * 2 + 2),
        (9 * 2 * 2 * pixels, 9 * 2 * 2 + 2),
        (1 * 2 * 2 * pixels, 1 * 2 * 2 + 2),
    ]
    assert (rows["down1_1"].kernel, rows["down1_1"].stride) == (3, 1)
    assert (rows["pool"].kernel, rows["pool"].stride) == (2, 2)
    assert (rows["up_t"].kernel, rows["up_t"].stride) == (2, 2)
    assert (rows["out1x1"].kernel, rows["down1_1.relu"].kernel, rows["concat"].stride) == (1, 0, 0)
    assert rows["concat"].inputs == ("down1_2.relu", "up_t")
    assert rows["concat"].nbytes == 4 * 4 * pixels
    assert rows["pool"].nbytes == 4 * 2 * quarter
    assert found.nbytes == sum(4 * np.prod(row.shape) for row in rows.values())
    assert found.multiply_adds == sum(row.multiply_adds for row in rows.values())


def test_peaks_counted_by_hand():
    """Depth one, one channel everywhere that matters; ReLU works in place, so it takes nothing."""
    found = plan(UNet(in_channels=1, num_classes=1, base_channels=1, depth=1), (1, 1, 8, 8), dtype="float64")
    full, half = 8 * 8 * 8, 8 * 4 * 4
    # x, the skip, and before the last concatenation is let go: upsampled, both together, its convolution
    assert found.forward_peak == full * (1 + 1 + 1 + 2 + 1)
    everything = full * (1 + 1 + 1) + half * (1 + 2 + 2) + full * (2 + 1 + 1) + full  # all that is kept, and the output
    assert found.backward_peak >= everything
    assert found.backward_peak <= everything + 4 * full + 8 * 300  # gradients in flight, and those of parameters


@pytest.mark.parametrize("name", sorted(MODELS))
def test_totals(name):
    model = MODELS[name]()
    side = 28 if name == "context_unet" else 64
    channels = {"unet2": 1, "unet_film": 17, "resnet_unet": 1}.get(name, 3)
    found = plan(model, (1, channels, side, side))
    parameters = states.tensors(model.layers, buffers=False)
    assert found.parameters == sum(int(np.prod(shape)) for shape in parameters.values())
    assert {step.name for step in found.steps if step.parameters} == set(model.layers)
    double = plan(model, (1, channels, side, side), dtype="float64", training=False)
    assert double.nbytes == 2 * found.nbytes
    assert double.multiply_adds == found.multiply_adds
    twice = plan(model, (2, channels, side, side))
    assert twice.multiply_adds == 2 * found.multiply_adds
    assert twice.nbytes == 2 * found.nbytes
    assert found.forward_peak < found.backward_peak


def test_resnet50_has_four_billion_multiply_adds():
    """The 3.8 billion of He et al. (2016) are for strides in the 1x1 convolutions; torchvision's, here, are 4.09."""
    assert round(plan(ResNet50(), (1, 3, 224, 224)).multiply_adds / 1e9, 2) == 4.09


REAL = {
    "unet2": (UNet2(config=UNet2Config(base_channels=8)), (2, 1, 160, 160)),
    "unet_film": (UNetFiLM(base_channels=4), (2, 17, 128, 128)),
    "resnet50": (ResNet50(base_channels=8), (2, 3, 192, 192)),
    "resnet_unet": (MODELS["resnet_unet"](base_channels=4), (1, 1, 192, 192)),
    "context_unet": (ContextUnet(n_feat=8), (16, 3, 28, 28)),
    "unet": (UNet(base_channels=6), (2, 3, 144, 144)),
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_the_peak_is_about_that_of_a_real_run(name, rng):
    """The plan counts arrays that live at one time; a real run adds workspace, and holds less where it remembers."""
    model, shape = REAL[name]
    state = model.init(0)
    inputs = [rng.standard_normal(s).astype("float32") for s in model.input_shapes(shape)]
    grad_output = rng.standard_normal(model.output_shape(shape)).astype("float32")
    model.backward(state, model.trace(state, *inputs, training=True), grad_output, release=True)  # imports and pools
    gc.collect()
    tracemalloc.start()
    model.backward(state, model.trace(state, *inputs, training=True), grad_output, release=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    planned = plan(model, shape).backward_peak
    assert planned > 12e6  # small beside that, a megabyte or two of workspace
    assert 0.75 * planned < peak < 1.25 * planned + 2e6


# --- shapes in place of arrays ----------------------------------------------------------------------------------------


def test_the_meter():
    meter = Meter()
    first = Abstract((3, 4), "float64", meter)
    assert (meter.alive, meter.peak) == (96, 96)
    second = first.like((2,))
    assert (meter.alive, meter.peak) == (112, 112)
    del first
    assert (meter.alive, meter.peak) == (16, 112)
    views = second.reshape(1, 2), second[None], second.hollow(), second[0], second.reshape((2, 1))
    assert [view.shape for view in views] == [(1, 2), (1, 2), (2,), (), (2, 1)]
    assert (meter.alive, meter.peak) == (16, 112)  # views take no memory
    total = (second + second) / second
    assert total.shape == (2,)
    assert meter.alive == 32
    assert (total.ndim, total.size, total.nbytes, total.dtype) == (1, 2, 16, np.float64)
    assert total[:, None].shape == (2, 1)


def test_shapes_are_those_of_the_operations(rng):
    """Every step of every network: what the shape law says is what the operation makes."""
    for case in CASES[::3]:
        model = build(case)
        inputs = random_inputs(model, case, rng)
        trace = model.trace(random_state(model, rng), *inputs.values(), training=True, record="all")
        planned = model.shape_trace(*case.shapes, training=True)
        assert list(planned.steps) == list(trace.steps)
        for name, step in planned.steps.items():
            assert step.output_shape == trace[name].shape
            assert step.inputs == trace.steps[name].inputs


def test_an_unknown_operation():
    with pytest.raises(AttributeError, match="softmax"):
        Shapes().softmax(Abstract((2,), "float32"))
    assert not hasattr(ops, "add")
    assert Shapes().add(Abstract((2, 3), "float32"), Abstract((2, 3), "float32")).shape == (2, 3)


def test_gradients_have_the_shapes_of_the_arguments():
    x, weight, grad = (Abstract(s, "float32") for s in ((2, 3, 5, 5), (4, 3, 3, 3), (2, 4, 3, 3)))
    grads = Shapes().conv2d_backward(grad, x, weight, None)
    assert (grads.x.shape, grads.weight.shape, grads.bias) == (x.shape, weight.shape, None)
    assert [getattr(g, "shape", None) for g in grads] == [x.shape, weight.shape, None]
    parts = Shapes().concat_backward(grad, (x, weight), axis=1)
    assert [part.shape for part in parts] == [x.shape, weight.shape]
