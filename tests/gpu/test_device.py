"""The operations and the networks on a CUDA device, against NumPy. Skipped where there is none."""

import numpy as np
import pytest

from unet_ref.check.table import OPERATIONS
from unet_ref.check.verify_model import instance
from unet_ref.models import MODELS

pytestmark = pytest.mark.gpu

# Sums of a few hundred terms in another order: a few hundred roundings of the largest term, with room.
RELATIVE = {"float64": 1e-12, "float32": 1e-4, "float16": 1e-2, "complex128": 1e-12}


def convert(value, change):
    """``value`` with ``change`` applied to the arrays in it."""
    if isinstance(value, tuple | list):
        items = [convert(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return None if value is None else change(value)


def flat(value):
    return [leaf for item in value for leaf in flat(item)] if isinstance(value, tuple | list) else [value]


def compare(on_device, on_host, relative):
    import cupy

    for one, other in zip(flat(on_device), flat(on_host), strict=True):
        assert (one is None) == (other is None)
        if other is not None:
            assert isinstance(one, cupy.ndarray)
            assert one.dtype == other.dtype
            scale = float(np.max(np.abs(other), initial=1.0))
            np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=0, atol=relative * scale)


@pytest.mark.parametrize("dtype", sorted(RELATIVE))
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_agrees_with_numpy(name, dtype, rng):
    import cupy

    def narrow(array):
        return array.astype(dtype) if array.dtype == np.float64 else array

    row = OPERATIONS[name]
    for _ in range(6):
        case = row.draw(rng)
        arrays = convert(list(case.arrays.values()), narrow)
        on_device = convert(arrays, cupy.asarray)
        y = row.forward(*arrays, **case.options)
        first = row.forward(*on_device, **case.options)
        compare(first, y, RELATIVE[dtype])
        for one, other in zip(flat(row.forward(*on_device, **case.options)), flat(first), strict=True):
            assert cupy.asnumpy(one).tobytes() == cupy.asnumpy(other).tobytes()  # the same from run to run
        if row.backward is not None:
            grad_output = np.asarray(rng.standard_normal(np.shape(y)), dtype=y.dtype)
            host = row.backward(grad_output, *arrays, **case.options)
            compare(row.backward(cupy.asarray(grad_output), *on_device, **case.options), host, RELATIVE[dtype])


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_network_agrees_with_numpy(name, training, rng):
    import cupy

    model, shapes = instance(name)
    state = model.init(rng, "float64")
    inputs = [rng.standard_normal(shape) for shape in shapes]
    trace = model.trace(state, *inputs, training=training)
    grad_output = rng.standard_normal(trace.output.shape)
    grads = model.backward(state, trace, grad_output)

    on_device = {key: cupy.asarray(array) for key, array in state.items()}
    device_trace = model.trace(on_device, *map(cupy.asarray, inputs), training=training)
    device_grads = model.backward(on_device, device_trace, cupy.asarray(grad_output))
    compare(device_trace.output, trace.output, 1e-9)
    for key, slope in grads.params.items():
        compare(device_grads.params[key], slope, 1e-9)
    for key, slope in grads.inputs.items():
        compare(device_grads.inputs[key], slope, 1e-9)
