"""What the tests of this folder share: results from a device beside NumPy's."""

import numpy as np


def flat(value):
    """The arrays in a result, whatever it is made of; ``None`` where one is absent."""
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in flat(value[key])]
    return [leaf for item in value for leaf in flat(item)] if isinstance(value, tuple | list) else [value]


def convert(value, change):
    """``value`` with ``change`` applied to the arrays in it."""
    if isinstance(value, dict):
        return {key: convert(item, change) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [convert(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return None if value is None else change(value)


def narrowed(dtype):
    """The change of float64 arrays to ``dtype``; integers stay."""
    return lambda array: array.astype(dtype) if array.dtype == np.float64 else array


def assert_agree(on_device, on_host, fetch, kind, relative=0.0):
    """Each result is a ``kind`` of array with NumPy's shape, dtype and numbers: its bits, or within ``relative``."""
    for one, other in zip(flat(on_device), flat(on_host), strict=True):
        assert type(one) is (type(None) if other is None else kind), "a result left the device"
        if other is None:
            continue
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        if relative:
            scale = float(np.max(np.abs(other), initial=1.0))
            np.testing.assert_allclose(fetch(one), other, rtol=0, atol=relative * scale)
        else:
            np.testing.assert_array_equal(fetch(one), other, strict=True)
