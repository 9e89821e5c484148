"""The static gate over the source, against the real ``cupy`` package, which imports without a GPU."""

from pathlib import Path

import pytest
from gpu.gate import offences, signature

import unet_ref

cupy = pytest.importorskip("cupy", reason="the static gate needs the cupy package (no GPU): pip install cupy-cuda13x")

pytestmark = pytest.mark.cupy

PACKAGE = Path(unet_ref.__file__).parent
DEVICE_ROOMS = ("ops",)  # every array here may live on a device; the other rooms do work on the host too


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_use_of_xp_is_in_cupy(path):
    device_code = path.relative_to(PACKAGE).parts[0] in DEVICE_ROOMS
    assert not offences(path.read_text(encoding="utf-8"), cupy, device_code=device_code)


def test_the_gate_sees_the_source():
    """A gate that looks at nothing would hold: the source has many uses, and a wrong one among them is found."""
    source = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "ops").glob("*.py"))
    assert source.count("xp.") > 5
    right = (PACKAGE / "ops" / "correlation.py").read_text(encoding="utf-8")
    broken = right.replace("xp.matmul(", "xp.vecdot(")
    assert len(offences(broken, cupy)) == right.count("xp.matmul(") > 0


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("xp.vecdot(x, y)", "xp.vecdot is not in CuPy"),
        ("with xp.errstate(all='ignore'): pass", "xp.errstate is not in CuPy"),
        ("xp.einsum_path('ij,jk', a, b)", "xp.einsum_path is not in CuPy"),
        ("namespace(x).longdouble(2)", "xp.longdouble is not in CuPy"),
        ("f = xp.matvec", "xp.matvec is not in CuPy"),
        ("xp.add.at(y, i, x)", "not deterministic"),
        ("xp.maximum.reduceat(y, i)", "methods of ufuncs"),
        ("xp.lib.stride_tricks.sliding_window_view(x, 3)", "waits for the device"),
        ("xp.sum(x, where=m)", "unexpected keyword argument 'where'"),
        ("xp.max(x, initial=0)", "unexpected keyword argument 'initial'"),
        ("xp.clip(x, min=0)", "missing a required argument: 'a_min'"),
        ("xp.exp(x, where=m)", "unexpected keyword argument 'where'"),
        ("xp.exp(x, y, z)", "too many positional arguments"),
        ("xp.einsum('ij->i', x, order='C')", r"xp.einsum\(order=\)"),
        ("xp.pi(3)", "xp.pi is no function"),
        ("x.sum(axis=0, where=m)", r"\.sum\(where=\): not in CuPy"),
        ("x.max(initial=0)", r"\.max\(initial=\): not in CuPy"),
        ("x.astype('f4', device='cpu')", r"\.astype\(device=\)"),
        ("special(x).owens_t(x, 1)", "special.owens_t is not in CuPy"),
        ("special(x).erf(x, where=m)", "unexpected keyword argument 'where'"),
        ("self.xp.vecdot(x, y)", "xp.vecdot is not in CuPy"),
        ("np_like = namespace(x)", "name the namespace xp"),
        ("module, n = namespace(x), 3", "name the namespace xp"),
        ("import numpy as np", "asks namespace"),
        ("from numpy.lib import stride_tricks", "asks namespace"),
    ],
)
def test_a_planted_wrong_use_is_caught(source, complaint):
    assert len(offences(source, cupy)) == 1
    with pytest.raises(AssertionError, match=complaint):
        raise AssertionError(offences(source, cupy)[0])


@pytest.mark.parametrize(
    "source",
    [
        "xp, n = namespace(x), 3",
        "xp.sum(x, axis=0, keepdims=True)",
        "xp.exp(x, out=y)",
        "xp.matmul(a, b, out=c)",
        "xp.zeros(shape, dtype=x.dtype)",
        "xp.pad(x, 1, constant_values=0)",
        "xp.lib.stride_tricks.as_strided(x, shape, strides)",
        "namespace(x).concatenate([x, y], axis=1)",
        "x.sum(axis=0, dtype=t).reshape(a, b).swapaxes(0, 1).astype(t, copy=False)",
        "options = dict(axis=0)\nxp.sum(x, **options)",
        "xp.concatenate(*pieces)",
        "a = b = xp.float32",
        "self.xp, self.dtype = namespace(x), x.dtype\nself.xp.empty(3)",
        "special(x).erf(x, out=y)",
    ],
)
def test_a_right_use_passes(source):
    assert not offences(source, cupy)


def test_signatures_of_compiled_functions_come_from_their_docstrings():
    assert list(signature(cupy.add).parameters) == ["x1", "x2", "out", "casting", "dtype"]
    assert list(signature(cupy.ndarray.swapaxes).parameters) == ["axis1", "axis2"]
    assert list(signature(cupy.ndarray.reshape).parameters) == ["shape", "order", "copy"]
    with pytest.raises(LookupError, match="has no signature"):
        signature(type("Opaque", (), {"__doc__": "No signature.", "__call__": None})())
