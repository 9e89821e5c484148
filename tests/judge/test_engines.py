"""Engines are judged as they are: what is known to be wrong today is found, what is right is not called wrong."""

import argparse
import json

import numpy as np
import pytest

from unet_ref.check.table import OPERATIONS
from unet_ref.cli import judge_engine
from unet_ref.judge import engines
from unet_ref.judge.engines import arguments as forms


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
        assert engines.module("jax").pair("center_crop2d", "contiguous", "float32") == (None, None)
        with pytest.raises(NotImplementedError, match="jax has no center_crop2d"):
            engines.Part("jax", "center_crop2d", "contiguous", "float32").functions()


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
