"""Every network on the strict stand-in for CuPy: forward, trace and backward, with NumPy's numbers."""

import pytest
from gpu import standin
from gpu.compare import assert_agree
from gpu.standin import to_device, to_host

from unet_ref.check.network import instance
from unet_ref.models import MODELS

ROUNDING = 1e-10  # float64: convolutions sum in another order there, and a network adds that up


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_network_on_the_device_has_numpys_numbers(name, training, monkeypatch, rng):
    standin.install(monkeypatch)
    model, shapes = instance(name)
    state = model.init(rng, "float64")
    inputs = [rng.standard_normal(shape) for shape in shapes]
    trace = model.trace(state, *inputs, training=training)
    grad_output = rng.standard_normal(trace.output.shape)
    grads = model.backward(state, trace, grad_output)

    on_device = {key: to_device(array) for key, array in state.items()}
    device_trace = model.trace(on_device, *map(to_device, inputs), training=training)
    device_grads = model.backward(on_device, device_trace, to_device(grad_output))
    assert list(device_grads.params) == list(grads.params)
    for one, other in (
        (device_trace.output, trace.output),
        (device_trace.buffers, trace.buffers),
        (device_grads.params, grads.params),
        (device_grads.inputs, grads.inputs),
    ):
        assert_agree(one, other, to_host, standin.ndarray, ROUNDING)
