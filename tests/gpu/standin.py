"""A strict stand-in for CuPy: NumPy computes, but what CuPy refuses, or can do only by waiting for the device, raises.

The point is the opposite of a mock's: nothing is made easier. ``install(monkeypatch)`` puts it into ``sys.modules``
as ``cupy`` and ``cupyx``, where ``unet_ref.backend`` finds it as it would find CuPy. Results have NumPy's bits, so they
can be compared with ``==``. What is refused, and why:

* a NumPy array where a device array belongs, and the reverse: CuPy has no implicit transfers;
* ``bool``, ``int``, ``float``, ``item``, ``tolist``, ``get``, boolean-mask reads, ``nonzero``, ``unique``, iteration:
  each makes the host wait for the device;
* ``object``, ``longdouble`` and string dtypes: no kernel can hold them;
* ``where=`` and ``initial=`` on reductions, lists as operands, ``ufunc.at``/``reduce``: not there, or not in all versions;
* writing one element twice through an index array: the order is undefined on a device.
"""

from __future__ import annotations

import operator
import sys
import types

import numpy as np
import scipy.special

DTYPES = frozenset("?bhilqBHILQefdFD")
SCALARS = (bool, int, float, complex, np.bool_, np.number)

# fmt: off
# Names that NumPy has and CuPy has not; tests/gpu/test_static_gate.py checks names against the real package.
MISSING = {"errstate", "vecdot", "matvec", "vecmat", "einsum_path", "longdouble", "object_", "frompyfunc", "nditer", "ndenumerate"}
WAITS = {"nonzero", "flatnonzero", "argwhere", "unique", "extract", "asnumpy", "array_equal", "allclose"}
SEQUENCES = {"concatenate", "stack", "vstack", "hstack", "dstack", "column_stack", "broadcast_arrays", "meshgrid", "einsum"}
TRANSFERS = {"array", "asarray", "ascontiguousarray"}  # explicit, so allowed: host to device
CONSTANTS = {
    "pi", "e", "inf", "nan", "newaxis", "dtype", "finfo", "iinfo", "result_type", "bool_", "int8", "int16", "int32", "int64",
    "intp", "uint8", "uint32", "uint64", "float16", "float32", "float64", "complex64", "complex128",
}
METHODS = {
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "conj", "conjugate", "copy", "cumprod", "cumsum", "diagonal",
    "dot", "fill", "flatten", "max", "mean", "min", "prod", "ravel", "repeat", "reshape", "round", "searchsorted", "sort",
    "squeeze", "std", "sum", "swapaxes", "take", "trace", "transpose", "var", "view",
}
# fmt: on


class RefusedError(TypeError):
    """What CuPy would have refused, or could have done only by waiting for the device."""


class ndarray:  # noqa: N801 (CuPy's name)
    """An array on the pretended device."""

    __slots__ = ("_host",)
    __array_ufunc__ = None  # np.float32(2) * x comes to __rmul__ here, as with CuPy; np.add(x, y) is refused

    @property
    def shape(self):
        return self._host.shape

    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: to_device(self._host.T))
    real = property(lambda self: to_device(self._host.real))
    imag = property(lambda self: to_device(self._host.imag))

    def __len__(self):  # the shape is known on the host
        return len(self._host)

    def __repr__(self):  # pytest prints arrays of failed tests
        return f"device {self._host!r}"

    def __getitem__(self, key):
        host_key = _index(key, reading=True)
        return to_device(self._host[host_key])

    def __setitem__(self, key, value):
        host_key = _index(key, reading=False)
        if isinstance(key, ndarray | tuple):
            _written_once(self._host.shape, host_key)
        if _has_mask(key) and isinstance(value, ndarray) and value.ndim:
            raise RefusedError("x[mask] = array: CuPy takes only scalars there")
        self._host[host_key] = _operand(value, "assignment")

    def __getattr__(self, name):
        if name == "get" and sys.modules["cupy"].transfers:
            return lambda: np.array(self._host)
        if name not in METHODS:
            if name in ("item", "tolist", "get", "tobytes", "nonzero"):
                raise RefusedError(f"x.{name}() waits for the device")
            raise AttributeError(f"cupy.ndarray has no {name!r}, or the stand-in does not know it")
        return _device_function(name, getattr(self._host, name), method=True)


def _refuse(name, reason):
    def refused(self, *args, **kwargs):
        raise RefusedError(f"{name}: {reason}")

    return refused


def _scalar(type_):
    def convert(self):
        if sys.modules["cupy"].transfers:
            return type_(self._host)
        raise RefusedError(f"{type_.__name__}(x) waits for the device")

    return convert


for _type in (bool, int, float, complex):
    setattr(ndarray, f"__{_type.__name__}__", _scalar(_type))
for _name in ("index", "iter"):
    setattr(ndarray, f"__{_name}__", _refuse(_name, "waits for the device"))
for _name in ("array", "array_function"):
    setattr(ndarray, f"__{_name}__", _refuse(f"np.asarray or np.function(x) (__{_name}__)", "no implicit transfer"))


def _binary(name, reflected=False, in_place=False):
    function = getattr(operator, f"__{'i' if in_place else ''}{name}__")

    def method(self, other):
        if other is None or isinstance(other, str | types.EllipsisType):
            return NotImplemented
        value = _operand(other, f"operator {name}")
        if in_place:
            self._host = function(self._host, value)
            return self
        return to_device(function(value, self._host) if reflected else function(self._host, value))

    return method


def _unary(name):
    function = getattr(operator, f"__{name}__")
    return lambda self: to_device(function(self._host))


ARITHMETIC = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
for _name in ARITHMETIC.split():
    setattr(ndarray, f"__{_name}__", _binary(_name))
    setattr(ndarray, f"__r{_name}__", _binary(_name, reflected=True))
    setattr(ndarray, f"__i{_name}__", _binary(_name, in_place=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _binary(_name))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", _unary(_name))
ndarray.__hash__ = None


def to_device(value):
    """A NumPy array, or a tuple or list with arrays in it, on the pretended device. NumPy's scalars become 0-d arrays."""
    if isinstance(value, tuple | list):
        items = [to_device(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    if value.dtype.char not in DTYPES:
        raise RefusedError(f"CuPy has no dtype {value.dtype}")
    array = object.__new__(ndarray)
    array._host = np.asarray(value)
    return array


def to_host(value):
    """The explicit way back, for the tests alone."""
    if isinstance(value, tuple | list):
        items = [to_host(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value._host if isinstance(value, ndarray) else value


def _operand(value, where):
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, SCALARS) and not isinstance(value, np.longdouble | np.clongdouble):
        return value
    raise RefusedError(f"{where}: CuPy takes device arrays and scalars, not {type(value).__name__}")


def _index(key, *, reading):
    if isinstance(key, tuple):
        return tuple(_index(item, reading=reading) for item in key)
    if isinstance(key, ndarray):
        if reading and key.dtype == bool:
            raise RefusedError("x[mask] waits for the device: its shape depends on the values")
        return key._host
    if isinstance(key, list | np.ndarray):
        raise RefusedError(f"indexing by {type(key).__name__}: put the indices on the device once, outside")
    return key


def _has_mask(key):
    return any(isinstance(k, ndarray) and k.dtype == bool for k in (key if isinstance(key, tuple) else (key,)))


def _written_once(shape, host_key):
    if not any(isinstance(k, np.ndarray) for k in (host_key if isinstance(host_key, tuple) else (host_key,))):
        return
    positions = np.arange(np.prod(shape, dtype=int)).reshape(shape)[host_key].ravel()
    if len(np.unique(positions)) < len(positions):
        raise RefusedError("an index array writes one element twice: the order is undefined on a device")


def _device_function(name, function, *, method=False):
    """``function`` of NumPy as the device has it: takes and gives device arrays."""

    def device_function(*args, **kwargs):
        for keyword in kwargs.keys() & {"where", "initial", "like", "subok"}:
            raise RefusedError(f"{name}({keyword}=): not in CuPy")
        if name in WAITS or (name == "where" and len(args) == 1):
            raise RefusedError(f"{name} waits for the device")
        host_args = [_argument(name, value, first=k == 0 and not method) for k, value in enumerate(args)]
        host_kwargs = {keyword: _argument(name, value, first=False) for keyword, value in kwargs.items()}
        return to_device(function(*host_args, **host_kwargs))

    device_function.__name__ = name
    return device_function


def _argument(name, value, *, first):
    if isinstance(value, np.ndarray) and not (first and name in TRANSFERS):
        raise RefusedError(f"{name}: CuPy takes device arrays, not NumPy's")
    if isinstance(value, tuple | list):
        if name in SEQUENCES:
            return type(value)(_argument(name, item, first=False) for item in value)
        if any(isinstance(item, ndarray | np.ndarray) for item in value):
            raise RefusedError(f"{name}: an array inside a {type(value).__name__}")
        if first and isinstance(getattr(np, name, None), np.ufunc):
            raise RefusedError(f"{name}: CuPy's ufuncs take no {type(value).__name__}")
    return value._host if isinstance(value, ndarray) else value


class _Module(types.ModuleType):
    def __init__(self, name, source, **members):
        super().__init__(name)
        self._source = source
        self.__dict__.update(members)

    def __getattr__(self, name):
        if name.startswith("__") or name in MISSING or not hasattr(self._source, name):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(self._source, name)
        return value if name in CONSTANTS else _device_function(name, value)


def install(monkeypatch, *, transfers=False):
    """The stand-in as ``cupy`` and ``cupyx``, for the length of one test.

    ``transfers=True`` is for code on the host, such as the checker, that fetches results: ``x.get()``, ``asnumpy``, ``float(x)``.
    """
    tricks = types.SimpleNamespace(as_strided=_device_function("as_strided", np.lib.stride_tricks.as_strided))
    cupy = _Module("cupy", np, ndarray=ndarray, transfers=transfers, __version__="stand-in")
    cupy.lib = types.SimpleNamespace(stride_tricks=tricks)
    cupy.cuda = types.SimpleNamespace(runtime=_Runtime)
    if transfers:
        cupy.asnumpy = lambda x: np.array(to_host(x))
    special = _Module("cupyx.scipy.special", scipy.special)
    scipy_module = _Module("cupyx.scipy", types.SimpleNamespace(), special=special)
    cupyx = _Module("cupyx", types.SimpleNamespace(), scipy=scipy_module)
    for module in (cupy, cupyx, scipy_module, special):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return cupy


class _Runtime:
    """One device, by name."""

    CUDARuntimeError = RuntimeError

    @staticmethod
    def getDeviceCount():
        return 1

    @staticmethod
    def getDeviceProperties(device):
        return {"name": f"stand-in {device}".encode()}
