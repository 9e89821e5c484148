"""Every operation on the strict stand-in for CuPy: NumPy's bits, and nothing that a device would refuse."""

import numpy as np
import pytest
from gpu import standin
from gpu.compare import assert_agree, convert, narrowed
from gpu.standin import to_device, to_host

from unet_ref import DTypeError, backend, ops
from unet_ref.check.table import OPERATIONS


@pytest.fixture
def cupy(monkeypatch):
    return standin.install(monkeypatch)


# On a device these take all pixels in one tile, so that their sums are in another order than NumPy's; and losses are
# summed there by another function.
ANOTHER_ORDER = {"conv2d", "conv_transpose2d"}
LOSSES = {"mse_loss", "binary_cross_entropy_with_logits", "cross_entropy"}
ROUNDING = {"float64": 1e-13, "float32": 1e-5, "float16": 2e-3, "complex128": 1e-13}


@pytest.mark.parametrize("dtype", sorted(ROUNDING))
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_on_the_device_has_numpys_bits(name, dtype, cupy, rng):
    relative = ROUNDING[dtype] if name in ANOTHER_ORDER else 0.0
    row = OPERATIONS[name]
    for _ in range(6):
        case = row.draw(rng)
        arrays = convert(list(case.arrays.values()), narrowed(dtype))
        y = row.forward(*arrays, **case.options)
        on_device = to_device(arrays)
        again = row.forward(*on_device, **case.options)
        assert_agree(again, y, to_host, standin.ndarray, ROUNDING[dtype] if name in LOSSES else relative)
        if row.backward is not None:
            grad_output = np.asarray(rng.standard_normal(np.shape(y)), dtype=y.dtype)
            host = row.backward(grad_output, *arrays, **case.options)
            grads = row.backward(to_device(grad_output), *on_device, **case.options)
            assert_agree(grads, host, to_host, standin.ndarray, relative)


def test_the_backend_takes_the_stand_in_for_cupy(cupy):
    x = to_device(np.ones(3))
    assert backend.namespace(x) is cupy
    with pytest.raises(TypeError, match="one device"):
        backend.namespace(x, np.ones(3))


def test_operations_refuse_arrays_of_two_devices(cupy, rng):
    x, weight = to_device(rng.standard_normal((2, 5, 4))), rng.standard_normal((3, 2, 2, 1))
    with pytest.raises(
        DTypeError, match=r"^conv2d: x\.device is gpu, weight\.device is cpu: all arrays must be on one"
    ):
        ops.conv2d(x, weight)


MISUSES = """
np.asarray(x)
np.sum(x)
np.exp(x)
x + np.ones(3)
np.ones(3) * x
x + [1.0, 2.0, 3.0]
x * np.longdouble(2)
bool(x[0])
float(x[0])
int(x[0])
complex(x[0])
range(x[0])
x[0].item()
x.tolist()
x.get()
1 if x[0] > 0 else 0
list(x)
1.0 in x
x[x > 0]
x[[0, 1]]
x[np.array([0, 1])]
x[:] = [1.0, 2.0, 3.0]
x[:] = np.ones(3)
x[x > 0] = x
x[device(np.array([0, 0]))] = 1.0
x += np.ones(3)
x.sum(where=x > 0)
x.max(initial=0.0)
x.astype(object)
x.astype("longdouble")
cupy.sum(x, initial=1.0)
cupy.sum(np.ones(3))
cupy.zeros(3, dtype=object)
cupy.zeros((x[0], 2))
cupy.unique(x)
cupy.where(x > 0)
cupy.maximum([1.0, 2.0, 3.0], x)
cupy.reshape(x, (x[1],))
cupy.concatenate([x, np.ones(3)])
"""


@pytest.mark.parametrize("misuse", MISUSES.split("\n")[1:-1])
def test_what_cupy_refuses_is_refused(misuse, cupy):
    with pytest.raises(TypeError):
        exec(misuse, {"np": np, "cupy": cupy, "device": to_device, "x": to_device(np.array([1.0, 2.0, 3.0]))})  # noqa: S102


@pytest.mark.parametrize("name", ["errstate", "vecdot", "einsum_path", "longdouble", "frompyfunc"])
def test_what_cupy_lacks_is_missing(name, cupy):
    with pytest.raises(AttributeError):
        getattr(cupy, name)
    with pytest.raises(AttributeError):
        cupy.add.at  # noqa: B018
    with pytest.raises(AttributeError):
        to_device(np.ones(2)).setflags  # noqa: B018


def test_what_cupy_allows_is_allowed(cupy):
    x = to_device(np.array([[1.0, -2.0], [3.0, 4.0]]))
    y = cupy.zeros(x.shape, dtype=x.dtype)
    y[...] = x
    y[0, 1] = 5
    y += np.float64(2) * x - 1
    y[x < 0] = 0.0
    y[to_device(np.array([0, 1])), to_device(np.array([1, 0]))] += 1.0
    z = cupy.concatenate([x, y], axis=0).sum(axis=0, keepdims=True)
    np.testing.assert_array_equal(to_host(z), [[15.0, 14.0]])
    assert len(z) == 1
    assert z.shape == (1, 2)
    assert "device" in repr(z)
    assert to_host((x, None))[1] is None


@pytest.mark.cupy
def test_the_stand_in_offers_only_methods_that_cupy_has():
    real = pytest.importorskip("cupy", reason="pip install cupy-cuda13x (no GPU needed)")
    public = {name for name in vars(standin.ndarray) if not name.startswith("_")} | standin.METHODS
    assert public <= set(dir(real.ndarray))
    assert not [name for name in standin.MISSING if hasattr(real, name)]
    assert all(hasattr(real, name) for name in standin.SEQUENCES | standin.TRANSFERS)
