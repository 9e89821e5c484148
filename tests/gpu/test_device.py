"""The table of operations on a CUDA device, against NumPy. Skipped where there is none."""

import numpy as np
import pytest

from unet_ref.check.table import OPERATIONS

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


@pytest.mark.parametrize("dtype", sorted(RELATIVE))
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_device_agrees_with_numpy(name, dtype, rng):
    import cupy

    def narrow(array):
        return array.astype(dtype) if array.dtype == np.float64 else array

    def compare(on_device, on_host):
        for one, other in zip(flat(on_device), flat(on_host), strict=True):
            assert (one is None) == (other is None)
            if other is not None:
                assert isinstance(one, cupy.ndarray)
                assert one.dtype == other.dtype
                scale = float(np.max(np.abs(other), initial=1.0))
                np.testing.assert_allclose(cupy.asnumpy(one), other, rtol=0, atol=RELATIVE[dtype] * scale)

    row = OPERATIONS[name]
    for _ in range(6):
        case = row.draw(rng)
        arrays = convert(list(case.arrays.values()), narrow)
        on_device = convert(arrays, cupy.asarray)
        y = row.forward(*arrays, **case.options)
        again = row.forward(*on_device, **case.options)
        compare(again, y)
        for one, other in zip(flat(row.forward(*on_device, **case.options)), flat(again), strict=True):
            np.testing.assert_array_equal(cupy.asnumpy(one), cupy.asnumpy(other))  # bitwise the same from run to run
        if row.backward is not None:
            grad_output = np.asarray(rng.standard_normal(np.shape(y)), dtype=y.dtype)
            host = row.backward(grad_output, *arrays, **case.options)
            compare(row.backward(cupy.asarray(grad_output), *on_device, **case.options), host)
