"""Engines are judged as they are: what is known to be wrong today is found, what is right is not called wrong."""

import argparse
import json

import numpy as np
import pytest
from gpu import standin
from judge.stand_ins import jax as jax_stand_in
from judge.stand_ins import onnx as onnx_stand_in
from judge.stand_ins import torch as torch_stand_in

from unet_ref.check.table import OPERATIONS
from unet_ref.cli import judge_engine
from unet_ref.judge import designed_cases, engines, judge_case
from unet_ref.judge.engines import arguments as forms
from unet_ref.judge.engines.onnx_nodes import NODES
from unet_ref.judge.mistake import Results
from unet_ref.judge.rounding import rounded


def needs(module):
    return pytest.importorskip(module, reason=f"this engine needs {module}: pip install 'unet-ref[engines]'")


def outcomes(engine, operation, dtype="float32", layout="contiguous"):
    return {r.case.label: r for r in engines.Part(engine, operation, layout, dtype).run().results}


@pytest.mark.torch
class TestTorch:
    @pytest.fixture(autouse=True)
    def installed(self):
        needs("torch")

    def test_it_has_every_operation(self):
        assert {part.operation for part in engines.parts_of("torch")} == set(OPERATIONS)
        assert {part.layout for part in engines.parts_of("torch", ["linear"])} == {"contiguous"}

    @pytest.mark.parametrize("layout", ["contiguous", "channels last"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"conv2d", "conv_transpose2d", "group_norm"}))
    def test_right_operations_are_right(self, operation, dtype, layout):
        part = engines.Part("torch", operation, layout, dtype)
        if engines.cases_of(part):
            report = part.run()
            assert report.ok, str(report)

    def test_group_norm_far_from_zero_in_channels_last(self):
        right = outcomes("torch", "group_norm")["mean 1,000, spread 4"]
        wrong = outcomes("torch", "group_norm", layout="channels last")["mean 1,000, spread 4"]
        assert right.ok
        assert wrong.outcome in ("looser arithmetic", "bug")

    def test_group_norm_with_a_bias_alone_has_no_backward_pass(self):
        found = outcomes("torch", "group_norm")["two groups of two; no weight"]
        assert found.outcome == "conduct"
        assert "tensor does not have a device" in found.problems[0]

    def test_half_types(self):
        for dtype in ("bfloat16", "float16"):
            for operation in ("relu", "linear", "concat", "sigmoid"):
                report = engines.Part("torch", operation, "contiguous", dtype).run()
                assert not any(result.outcome in ("bug", "conduct") for result in report.results), str(report)

    def test_a_wrong_engine_is_caught(self, monkeypatch):
        library = engines.module("torch")
        monkeypatch.setitem(library.OPERATIONS, "relu", lambda x: library.version() and x.clamp(min=0) * 1.5)
        assert not engines.Part("torch", "relu", "contiguous", "float32").run().ok

    def test_the_command(self, capsys, monkeypatch):
        chosen = argparse.Namespace(engine="torch", operations=["relu", "film"], json=False)
        assert judge_engine.run_engine(chosen) == 0
        out = capsys.readouterr().out
        assert "PyTorch" in out
        assert "chan. last" in out
        chosen.json = True
        assert judge_engine.run_engine(chosen) == 0
        parts = json.loads(capsys.readouterr().out)["parts"]
        assert {part["dtype"] for part in parts} == {"float32", "float64", "bfloat16", "float16"}
        monkeypatch.setattr(engines.module("torch"), "DTYPES", ("float32",))
        assert judge_engine.run_engine(argparse.Namespace(engine="torch", operations=["group_norm"], json=False)) == 1
        out = capsys.readouterr().out
        assert "engines.rerun('torch', 'group_norm'," in out
        assert "looser arithmetic" in out

    def test_a_reproducer(self):
        assert engines.rerun("torch", "relu", "row").ok
        assert "exact" in str(engines.rerun("torch", "relu", "image", "float16", "channels last"))


class TestOnnx:
    @pytest.fixture(autouse=True)
    def installed(self):
        needs("onnx")

    @pytest.mark.parametrize("operation", ["conv2d", "linear", "avg_pool2d", "batch_norm", "relu", "gelu", "concat",
                                           "upsample_nearest2d", "upsample_bilinear2d", "pad2d"])  # fmt: skip
    def test_onnxruntime_is_right(self, operation):
        needs("onnxruntime")
        report = engines.Part("onnxruntime", operation, "contiguous", "float32").run()
        assert report.ok, str(report)

    def test_onnxruntime_group_norm_far_from_zero(self):
        needs("onnxruntime")
        found = outcomes("onnxruntime", "group_norm")
        assert found["mean 1,000, spread 4"].outcome in ("looser arithmetic", "bug")
        assert found["two groups of two"].ok
        forward, backward = engines.module("onnxruntime").pair("group_norm", "contiguous", "float32")
        assert backward is None
        x = (1e4 + np.random.default_rng(0).standard_normal((2, 4, 8, 8))).astype("float32")
        assert np.isnan(forward(x, num_groups=2)).any()

    def test_the_reference_evaluator_and_groups_of_a_transposed_convolution(self):
        found = outcomes("onnx.reference", "conv_transpose2d")
        assert found["plain"].ok
        assert not found["groups"].ok


class TestJax:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("operation", ["relu", "linear", "glu"])
    def test_it_is_right(self, operation, dtype):
        needs("jax")
        report = engines.Part("jax", operation, "contiguous", dtype).run()
        assert report.ok, str(report)

    def test_what_it_does_not_have(self):
        needs("jax")
        found = outcomes("jax", "upsample_nearest2d")
        assert found["size that does not divide"].outcome == "skipped"
        assert found["twice"].ok


def test_an_engine_that_is_not_there(monkeypatch):
    def absent():
        raise ImportError("no such library")

    monkeypatch.setattr(engines.module("torch"), "version", absent)
    with pytest.raises(Exception, match="no such library; pip install") as caught:
        judge_engine.run_engine(argparse.Namespace(engine="torch", json=False))
    assert caught.value.code == 3


def test_forms_of_options():
    assert forms.pads(((1, 2), (3, 0))) == ((1, 2), (3, 0))
    assert forms.symmetric((2, 1)) == (2, 1)
    with pytest.raises(NotImplementedError, match="different sides"):
        forms.symmetric(((1, 2), 0))
    with pytest.raises(NotImplementedError, match="groups=1"):
        forms.refuse(groups=1)


# --- the adapters, on stand-ins for the libraries: their arguments are what the library's signatures say ----------------

SMALL, TINY, GRADIENTS = 400, 64, 3  # numbers in a case; gradients, for which the stand-ins take a step for each

KINK = "far out: nothing overflows"  # of the losses' x: at 0, where their formulas turn, no complex step can be taken


def on_small_cases(engine, operation, dtype="float32", layout="contiguous"):
    """Verdicts on the small designed cases whose numbers are finite: what was judged, and what was refused."""
    part = engines.Part(engine, operation, layout, dtype)
    forward, backward = part.functions()
    small = [case for case in engines.cases_of(part) if is_small(case)]
    tiny = [case.label for case in small if is_small(case, TINY) and case.label != KINK][:GRADIENTS]
    results = [judge_case(case, forward, backward if case.label in tiny else None, profile=dtype) for case in small]
    return [r for r in results if not r.skipped], [r for r in results if r.skipped]


def is_small(case, most=SMALL):
    arrays = [a for a in Results(case.arguments.grad_output, case.arguments.arrays).tensors().values() if a is not None]
    return sum(array.size for array in arrays) <= most and all(np.isfinite(array).all() for array in arrays)


def check(engine, operation, dtype="float32", layout="contiguous"):
    judged, refused = on_small_cases(engine, operation, dtype, layout)
    assert judged
    for result in judged:
        assert result.outcome in ("exact", "within rounding"), str(result)
    return refused


@pytest.fixture
def torch(monkeypatch):
    return torch_stand_in.install(monkeypatch)


@pytest.fixture
def jax(monkeypatch):
    engines.module("jax")._compiled.cache_clear()
    yield jax_stand_in.install(monkeypatch)
    engines.module("jax")._compiled.cache_clear()


@pytest.fixture
def onnx(monkeypatch):
    return onnx_stand_in.install(monkeypatch)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_torch_is_called_as_pytorch_says(torch, operation):
    refused = check("torch", operation)
    assert all("padding of different sides" in result.skipped for result in refused)
    assert engines.module("torch").version() == "PyTorch 0.0 (stand-in)"


@pytest.mark.parametrize(("operation", "dtype"), [("conv2d", "float64"), ("concat", "bfloat16"), ("relu", "float16"),
                                                  ("batch_norm_running_stats", "float64")])  # fmt: skip
@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_torch_in_other_dtypes_and_layouts(torch, operation, dtype, layout):
    check("torch", operation, dtype, layout)


def test_torch_gets_images_in_channels_last(torch):
    seen = []
    torch.nn.functional.relu = staticmethod(lambda x: seen.append(x) or torch_stand_in.of("relu", x))
    check("torch", "relu", layout="channels last")
    assert seen
    assert all(x.array.transpose(0, 2, 3, 1).flags.c_contiguous for x in seen)


def test_what_torch_has_no_kernel_for_is_refused(torch):
    def half(*args, **options):
        raise RuntimeError("\"max_pool2d\" not implemented for 'Half'")

    def broken(*args, **options):
        raise RuntimeError("tensor does not have a device")

    torch.nn.functional.relu = staticmethod(half)
    judged, refused = on_small_cases("torch", "relu")
    assert not judged
    assert "not implemented for 'Half'" in refused[0].skipped
    torch.nn.functional.relu = staticmethod(broken)
    assert {r.outcome for r in on_small_cases("torch", "relu")[0]} == {"conduct"}
    torch.autograd.grad = broken
    problems = [problem for r in on_small_cases("torch", "sigmoid")[0] for problem in r.problems]
    assert problems
    assert all(problem.startswith("backward raised RuntimeError: tensor does not") for problem in problems)
    torch.autograd.grad = half
    assert "not implemented for 'Half'" in on_small_cases("torch", "sigmoid")[1][0].skipped
    assert engines.module("torch").pair("conv3d", "contiguous", "float32") == (None, None)


def test_an_argument_that_is_forgotten_is_seen(torch, monkeypatch):
    """The stand-in is no mirror of the adapter."""
    library = engines.module("torch")
    right = library.OPERATIONS["conv2d"]

    def forgetful(*arrays, dilation=1, **options):
        return right(*arrays, **options)

    monkeypatch.setitem(library.OPERATIONS, "conv2d", forgetful)
    part = engines.Part("torch", "conv2d", "contiguous", "float32")
    dilated = next(case for case in engines.cases_of(part) if "dilation" in case.arguments.options)
    assert judge_case(dilated, part.functions()[0]).outcome == "bug"


def test_what_an_engine_does_not_have():
    """Said before the library is asked for."""
    assert engines.module("jax").pair("center_crop2d", "contiguous", "float32") == (None, None)
    with pytest.raises(NotImplementedError, match="jax has no center_crop2d"):
        engines.Part("jax", "center_crop2d", "contiguous", "float32").functions()


@pytest.mark.parametrize("operation", sorted(engines.module("jax").OPERATIONS))
def test_jax_is_called_as_jax_says(jax, operation):
    check("jax", operation)
    assert engines.module("jax").version() == "JAX 0.0 (stand-in)"


@pytest.mark.parametrize("operation", ["conv2d", "conv_transpose2d", "concat", "avg_pool2d", "group_norm"])
def test_jax_in_float64(jax, operation):
    check("jax", operation, "float64")


@pytest.mark.parametrize(
    ("operation", "options", "reason"),
    [
        ("conv_transpose2d", {"groups": 2}, "groups=1"),
        ("max_pool2d", {"kernel_size": 2, "ceil_mode": True}, "ceil_mode=True"),
        ("avg_pool2d", {"kernel_size": 2, "ceil_mode": True}, "ceil_mode=True"),
        ("pad2d", {"padding": -1}, "negative padding"),
        ("upsample_nearest2d", {"size": (9, 6)}, "jax.image.resize goes by centres"),
        ("upsample_bilinear2d", {"scale_factor": 1.3}, "a scale that does not give a whole size"),
    ],
)
def test_what_jax_has_no_option_for_is_refused(jax, operation, options, reason):
    forward, backward = engines.module("jax").pair(operation, "contiguous", "float32")
    x = np.ones((1, 2, 4, 6), "float32")
    arrays = (x, np.ones((2, 1, 3, 3), "float32")) if "conv" in operation else (x,)
    with pytest.raises(NotImplementedError, match=reason):
        forward(*arrays, **options)
    with pytest.raises(NotImplementedError, match=reason):
        backward(x, *arrays, **options)


def test_a_gradient_that_jax_does_not_have_is_refused(jax):
    def raising(error):
        def vjp(function, leaves):
            raise error

        return vjp

    _, backward = engines.module("jax").pair("max_pool2d", "contiguous", "float32")
    x = np.ones((1, 2, 4, 6), "float32")
    jax.vjp = raising(ValueError("Differentiation rule for 'reduce_window' not implemented"))
    with pytest.raises(NotImplementedError, match="reduce_window"):
        backward(x, x, kernel_size=1)
    engines.module("jax")._compiled.cache_clear()
    jax.vjp = raising(ValueError("shapes differ"))
    with pytest.raises(ValueError, match="shapes differ"):
        backward(x, x, kernel_size=1)


def test_jax_compiles_a_call_once(jax):
    """Options may be lists, too."""
    compiled = []
    jax.jit = lambda function: compiled.append(function) or function
    forward, backward = engines.module("jax").pair("avg_pool2d", "contiguous", "float32")
    x = np.ones((1, 2, 4, 6), "float32")
    for _ in range(3):
        assert (forward(x, kernel_size=[2, 3]) == 1).all()
        backward(np.ones((1, 2, 2, 2), "float32"), x, kernel_size=[2, 3])
    assert len(compiled) == 2


@pytest.mark.parametrize("engine", ["onnxruntime", "onnx.reference"])
@pytest.mark.parametrize("operation", sorted(NODES))
def test_nodes_are_what_the_standard_says(onnx, engine, operation):
    check(engine, operation)
    assert engines.module(engine).version().endswith(" 0.0 (stand-in)")
    assert engines.module(engine).pair("cross_entropy", "contiguous", "float32") == (None, None)


def test_nodes_in_float64(onnx):
    check("onnxruntime", "group_norm", "float64")


@pytest.mark.parametrize(
    ("operation", "shape", "options", "reason"),
    [
        ("max_pool2d", (1, 1, 2, 2), {"kernel_size": 1}, "MaxPool makes of NaN"),
        ("avg_pool2d", (1, 1, 2, 2), {"kernel_size": 1, "divisor_override": 3}, "divisor_override"),
        ("adaptive_avg_pool2d", (1, 1, 2, 2), {"output_size": 2}, "gives one pixel"),
        ("batch_norm", (2, 3), {"training": True}, "training"),
        ("batch_norm", (2, 3), {"training": False, "eps": 0.1}, "no float32"),
        ("group_norm", (2, 4), {"num_groups": 2}, "wants pixels"),
        ("linear", (3,), {}, "for matrices"),
        ("upsample_nearest2d", (1, 1, 2, 2), {"scale_factor": 1.1}, "scales are float32"),
        ("pad2d", (1, 1, 4, 4), {"padding": ((1, -1), 0), "mode": "reflect"}, "the reflection or the cut"),
    ],
)
def test_what_onnx_has_no_option_for_is_refused(onnx, operation, shape, options, reason):
    forward, _ = engines.module("onnxruntime").pair(operation, "contiguous", "float64")
    x, vectors = np.full(shape, np.nan), [np.ones(shape[-1])] * 4
    with pytest.raises(NotImplementedError, match=reason):
        forward(x, *(vectors if operation == "batch_norm" else ()), **options)


def test_what_onnxruntime_has_no_kernel_for_is_refused(onnx, monkeypatch):
    def raising(error):
        def kernel(*arrays, **attributes):
            raise error

        return kernel

    monkeypatch.setitem(
        onnx_stand_in.KERNELS, "Relu", raising(onnx_stand_in.NotImplemented("no Relu(14) for this type\nat"))
    )
    assert on_small_cases("onnxruntime", "relu")[1][0].skipped == "no Relu(14) for this type"
    monkeypatch.setitem(onnx_stand_in.KERNELS, "Relu", raising(onnx_stand_in.Fail("out of memory")))
    assert {r.outcome for r in on_small_cases("onnxruntime", "relu")[0]} == {"conduct"}


@pytest.mark.parametrize("operation", ["linear", "concat", "batch_norm_running_stats", "cross_entropy"])
def test_our_own_operations_on_a_device(monkeypatch, operation):
    cupy = standin.install(monkeypatch)
    cupy.__version__ = "0.0"
    monkeypatch.setattr(standin.ndarray, "get", lambda array: array._host.copy(), raising=False)  # here it is meant
    check("cupy", operation)
    assert engines.module("cupy").version() == "CuPy 0.0"

    def no_device(*args):
        raise RuntimeError("cudaErrorNoDevice")

    monkeypatch.setattr(cupy, "zeros", no_device)
    with pytest.raises(ImportError, match="no device: cudaErrorNoDevice"):
        engines.module("cupy").version()


def test_everything_that_an_engine_is_asked(torch, monkeypatch):
    parts = engines.parts_of("torch", ["linear", "relu"])
    assert {(part.operation, part.layout) for part in parts} == {
        ("linear", "contiguous"), ("relu", "contiguous"), ("relu", "channels last"),
    }  # fmt: skip
    assert len(parts) == 12
    assert {part.operation for part in engines.parts_of("torch")} == set(OPERATIONS)
    monkeypatch.setattr(
        engines, "cases_of", lambda part: [case for case in designed_cases(part.operation) if is_small(case, TINY)]
    )
    relu = engines.Part("torch", "relu", "contiguous", "float32")
    seen = []
    found = list(engines.run([relu], lambda each, count: seen.append(count) or each))
    assert found[0][0] is relu
    assert found[0][1].ok
    assert seen == [1]
    assert [report.ok for _, report in engines.run([relu])] == [True]
    assert relu.reproducer("row") == "engines.rerun('torch', 'relu', 'row', 'float32', 'contiguous')"
    assert engines.rerun("torch", "relu", "row").ok


def test_bfloat16_numbers_come_in_float32():
    cases = engines.cases_of(engines.Part("torch", "conv2d", "contiguous", "bfloat16"))
    x = cases[0].arguments.arrays["x"]
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, rounded(x, 8))
    last = engines.cases_of(engines.Part("torch", "conv2d", "channels last", "float32"))
    assert {case.layout for case in last} == {"contiguous"}


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_on_a_stand_in(torch, monkeypatch, capsys, as_json):
    torch.nn.functional.relu = staticmethod(lambda x: torch_stand_in.of("relu", x) * 2)
    monkeypatch.setattr(engines.module("torch"), "DTYPES", ("float32",))
    monkeypatch.setattr(engines.module("torch"), "LAYOUTS", ("contiguous",))
    monkeypatch.setattr(
        engines, "cases_of", lambda part: [case for case in designed_cases(part.operation) if is_small(case, TINY)]
    )
    written = []
    chosen = argparse.Namespace(engine="torch", operations=["relu", "sigmoid"], json=as_json)
    assert judge_engine.run_engine(chosen, written.extend) == 1
    out = capsys.readouterr().out
    assert [report.ok for report in written] == [False, True]
    assert "engines.rerun('torch', 'relu'," in out
    assert "PyTorch 0.0 (stand-in)" in out
    if as_json:
        assert [part["ok"] for part in json.loads(out)["parts"]] == [False, True]
    torch.nn.functional.relu = staticmethod(lambda x: torch_stand_in.of("relu", x))
    chosen.operations = ["relu"]
    assert judge_engine.run_engine(chosen) == 0
