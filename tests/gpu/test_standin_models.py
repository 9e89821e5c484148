"""Every network on the strict stand-in for CuPy: forward, trace and backward, with NumPy's bits."""

import numpy as np
import pytest
from gpu import standin
from gpu.standin import to_device, to_host

from unet_ref.check.verify_model import instance
from unet_ref.models import MODELS


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_network_on_the_device_has_numpys_bits(name, training, monkeypatch, rng):
    standin.install(monkeypatch)
    model, shapes = instance(name)
    state = model.init(rng, "float32")
    inputs = [rng.standard_normal(shape).astype("float32") for shape in shapes]
    trace = model.trace(state, *inputs, training=training)
    grad_output = rng.standard_normal(trace.output.shape).astype("float32")
    grads = model.backward(state, trace, grad_output)

    on_device = {key: to_device(array) for key, array in state.items()}
    device_trace = model.trace(on_device, *map(to_device, inputs), training=training)
    assert_same_bits({"output": device_trace.output}, {"output": trace.output})
    assert_same_bits(device_trace.buffers, trace.buffers)
    device_grads = model.backward(on_device, device_trace, to_device(grad_output))
    assert_same_bits(device_grads.params, grads.params)
    assert_same_bits(device_grads.inputs, grads.inputs)


def assert_same_bits(on_device, on_host):
    assert list(on_device) == list(on_host)
    for key, array in on_host.items():
        assert isinstance(on_device[key], standin.ndarray), f"{key} left the device"
        np.testing.assert_array_equal(to_host(on_device[key]), array, strict=True, err_msg=key)
