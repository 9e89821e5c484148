"""A wrong layer anywhere in a network is the first one named, forward and backward, whatever it does to the rest."""

import json

import numpy as np
import pytest

from unet_ref import models
from unet_ref.cli import main
from unet_ref.judge.networks import compare
from unet_ref.models import run
from unet_ref.models.export import export, read, record

OPTIONS = {"in_channels": 3, "weather_channels": 4, "base_channels": 2, "film_hidden": 5}
SHAPE = (2, 3, 16, 32)
MODEL = models.UNetFiLM(**OPTIONS)
STEPS = [name for name, step in MODEL.shape_trace(SHAPE).steps.items() if step.op != "chunk"]
SPREAD = 5  # every fifth step is planted here, of each kind some; at 1 all of them are, which takes minutes


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "film.npz"
    export(path, "unet_film", OPTIONS, MODEL, SHAPE, dtype="float32", seed=3)
    return path


def rerun(reference):
    """What an implementation with the same state, inputs and upstream gradient gets."""
    tensors, metadata = read(reference)
    part = {kind: {n.removeprefix(f"{kind}."): a for n, a in tensors.items() if n.startswith(f"{kind}.")}
            for kind in ("state", "input")}  # fmt: skip
    found, _ = record(MODEL, part["state"], part["input"], tensors["grad_output"], training=True)
    return tensors, metadata, found


def test_a_right_run_holds(reference):
    tensors, metadata, found = rerun(reference)
    report = compare(tensors, metadata, found)
    assert report, report.verdict()
    assert len(report.rows) > 200
    assert "All" in report.verdict()
    assert compare(tensors, metadata, found, forced=False)


@pytest.mark.parametrize("name", STEPS[::SPREAD])
def test_a_wrong_layer_is_the_first_guilty_one_forward(reference, monkeypatch, name):
    right = run.Forward._done

    def wrong(self, step, op, values, options, inputs, y):
        return right(
            self,
            step,
            op,
            values,
            options,
            inputs,
            y * y.dtype.type(1.001) if step == name and hasattr(y, "tobytes") else y,
        )

    monkeypatch.setattr(run.Forward, "_done", wrong)
    relu = run.Forward.relu

    def wrong_relu(self, step, x):
        y = relu(self, step, x)
        if step == name and hasattr(y.value, "tobytes"):
            y.value[...] *= y.value.dtype.type(1.001)
        return y

    monkeypatch.setattr(run.Forward, "relu", wrong_relu)
    tensors, metadata, found = rerun(reference)
    monkeypatch.undo()
    first = compare(tensors, metadata, found).first()
    assert first is not None
    assert first.tensor == f"activation.{name}"


@pytest.mark.parametrize("name", STEPS[:0:-SPREAD])
def test_a_wrong_layer_is_the_first_guilty_one_backward(reference, monkeypatch, name):
    right = run.Backward._step

    def wrong(self, step, grad):
        grads = right(self, step, grad)
        if step != name:
            return grads
        if hasattr(grads, "_replace"):
            return grads._replace(x=grads.x * grads.x.dtype.type(1.001))
        return tuple(part * part.dtype.type(1.001) for part in grads)

    monkeypatch.setattr(run.Backward, "_step", wrong)
    tensors, metadata, found = rerun(reference)
    monkeypatch.undo()
    report = compare(tensors, metadata, found)
    assert report.first() is None
    first = report.first(backward=True)
    assert first is not None
    makers = {f"grad.activation.{maker}" for maker in MODEL.shape_trace(SHAPE).steps[name].inputs}
    makers |= (
        {"grad.input.weather", "grad.input.x"} if makers & {"grad.activation.x", "grad.activation.weather"} else set()
    )
    makers |= {"grad.activation.film.2"} if "grad.activation.film.chunk" in makers else set()
    assert first.tensor in makers


@pytest.mark.parametrize(
    "name", ["inc.double_conv.0.weight", "film.2.bias", "up2_conv.double_conv.4.weight", "outc.bias"]
)
def test_a_wrong_gradient_of_a_parameter_is_named(reference, name):
    tensors, metadata, found = rerun(reference)
    found[f"grad.param.{name}"] = found[f"grad.param.{name}"] * np.float32(1.5)
    assert [row.tensor for row in compare(tensors, metadata, found).rows if not row.ok] == [f"grad.param.{name}"]


def test_gaps_are_filled_from_what_there_is(reference):
    tensors, metadata, found = rerun(reference)
    kept = {n: a for n, a in found.items() if not n.endswith((".1", ".4", "cat2", "film", "film.chunk"))}
    report = compare(tensors, metadata, kept)
    assert report, report.verdict()
    assert report.missing


def test_shapes_and_nan_are_findings_not_crashes(reference):
    tensors, metadata, found = rerun(reference)
    found["activation.outc"] = found["activation.outc"][:, :, 1:]
    found["grad.param.outc.bias"] = np.full_like(found["grad.param.outc.bias"], np.nan)
    report = compare(tensors, metadata, found, forced=False)
    assert not report
    assert {row.tensor for row in report.rows if not row.ok} == {"activation.outc", "grad.param.outc.bias"}
    assert "shape" in report.first().detail


def test_nothing_in_common(reference):
    tensors, metadata, _ = rerun(reference)
    report = compare(tensors, metadata, {"something": np.zeros(3)})
    assert not report
    assert "Nothing to compare" in report.verdict()


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("unet", {"base_channels": 2, "depth": 2, "padding": 0}, (1, 3, 44, 48)),
        ("unet2", {"base_channels": 2}, (2, 1, 8, 6)),
        ("resnet50", {"base_channels": 1, "num_classes": 5}, (2, 3, 32, 64)),
        ("resnet_unet", {"base_channels": 1}, (2, 1, 16, 32)),
        ("context_unet", {"n_feat": 8, "height": 16}, (2, 3, 16, 16)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_network_holds_against_itself(tmp_path, name, options, shape, dtype):
    model = models.MODELS[name].create(**options)
    export(tmp_path / "run.npz", name, options, model, shape, dtype=dtype, training=dtype == "float32")
    tensors, metadata = read(tmp_path / "run.npz")
    report = compare(tensors, metadata, tensors)
    assert report, report.verdict()


class TestCommand:
    def run(self, capsys, *arguments):
        code = main(["compare", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    def test_holds(self, capsys, reference):
        code, out, _ = self.run(capsys, reference, reference)
        assert code == 0
        assert "All" in out

    def test_a_folder_with_a_mistake(self, capsys, reference, tmp_path):
        tensors, _, found = rerun(reference)
        found["activation.down2.0"] = found["activation.down2.0"] + np.float32(0.01)
        for name, array in found.items():
            np.save(tmp_path / f"{name}.npy", array)
        code, out, _ = self.run(capsys, reference, tmp_path)
        assert code == 1
        assert "First guilty in the forward pass: activation.down2.0 (max_pool2d)" in out
        assert max(map(len, out.splitlines()[:4])) <= 80
        code, out, _ = self.run(capsys, reference, tmp_path, "--whole", "--json")
        assert code == 1
        assert json.loads(out)["forced"] is False
        assert len(tensors) == len(found)

    def test_all_rows(self, capsys, reference, tmp_path):
        np.savez(
            tmp_path / "part.npz", output=np.zeros(3), **{"activation.outc": read(reference)[0]["activation.outc"]}
        )
        _, out, _ = self.run(capsys, reference, tmp_path / "part.npz", "--all")
        assert "tensors of the reference are not in part.npz" in out

    @pytest.mark.parametrize("other", ["absent.npz", "empty", "text.npz", "a.txt"])
    def test_unreadable(self, capsys, reference, tmp_path, other):
        (tmp_path / "empty").mkdir()
        (tmp_path / "text.npz").write_text("no archive", "utf-8")
        code, out, err = self.run(capsys, reference, tmp_path / other)
        assert (code, out) == (4, "")
        assert err
        assert "Traceback" not in err

    def test_a_damaged_export(self, capsys, reference, tmp_path):
        tensors, _ = read(reference)
        np.savez(tmp_path / "plain.npz", **tensors)
        code, _, err = self.run(capsys, tmp_path / "plain.npz", reference)
        assert code == 4
        assert "is no export of unet_ref" in err
