"""The operations and the networks on a CUDA device, against NumPy. Skipped where there is none."""

import numpy as np
import pytest
from gpu.compare import assert_agree, convert, flat, narrowed

from unet_ref.check.network import instance
from unet_ref.check.table import OPERATIONS
from unet_ref.models import MODELS

pytestmark = pytest.mark.gpu

# Sums of a few hundred terms in another order: a few hundred roundings of the largest term, with room.
RELATIVE = {"float64": 1e-12, "float32": 1e-4, "float16": 1e-2, "complex128": 1e-12}


@pytest.mark.parametrize("dtype", sorted(RELATIVE))
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_agrees_with_numpy(name, dtype, rng):
    import cupy

    row = OPERATIONS[name]
    for _ in range(6):
        case = row.draw(rng)
        arrays = convert(list(case.arrays.values()), narrowed(dtype))
        on_device = convert(arrays, cupy.asarray)
        y = row.forward(*arrays, **case.options)
        first = row.forward(*on_device, **case.options)
        assert_agree(first, y, cupy.asnumpy, cupy.ndarray, RELATIVE[dtype])
        for one, other in zip(flat(row.forward(*on_device, **case.options)), flat(first), strict=True):
            assert cupy.asnumpy(one).tobytes() == cupy.asnumpy(other).tobytes()  # the same from run to run
        if row.backward is not None:
            grad_output = np.asarray(rng.standard_normal(np.shape(y)), dtype=y.dtype)
            host = row.backward(grad_output, *arrays, **case.options)
            grads = row.backward(cupy.asarray(grad_output), *on_device, **case.options)
            assert_agree(grads, host, cupy.asnumpy, cupy.ndarray, RELATIVE[dtype])


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
    found = device_trace.output, device_grads.params, device_grads.inputs
    assert_agree(found, (trace.output, grads.params, grads.inputs), cupy.asnumpy, cupy.ndarray, 1e-9)
