"""``unet-ref bench``: what it measures when asked for what, and what it refuses. Times are made up: no test waits."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bench import fake_torch

from unet_ref.bench import KNOWN, Job, Row, jobs
from unet_ref.cli import bench as command
from unet_ref.cli import main


def run(capsys, *arguments):
    code = main(["bench", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def _no_override(monkeypatch):
    for name in command.OVERRIDES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def torch(monkeypatch):
    made = fake_torch.make()
    monkeypatch.setitem(sys.modules, "torch", made)
    return made


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """What was asked; every pixel takes a microsecond, and PyTorch twice that."""
    asked = []

    def measure(job, dtype, *, rounds, device, beside_torch):
        asked.append((job, dtype, rounds, device, beside_torch))
        N, _, H, W = job.shape
        for passes in ("forward", "both"):
            seconds = 1e-6 * N * H * W
            theirs = [2 * seconds] * rounds if beside_torch else []
            yield Row(job.name, str(job), list(job.shape), dtype, passes, "product", 1.0, 1.0, [seconds] * rounds, theirs,
                      [seconds] * rounds)  # fmt: skip

    monkeypatch.setattr(command, "measure", measure)
    return asked


def test_everything_at_every_size_in_both_dtypes(capsys, measured):
    code, out, _ = run(capsys)
    assert code == 0
    assert [(job, dtype) for job, dtype, *_ in measured] == [
        (job, dtype) for name in KNOWN for job in jobs(name) for dtype in ("float32", "float64")
    ]
    assert {tuple(rest) for _, _, *rest in measured} == {(5, "cpu", True)}
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("\n### ") == 2 * len(KNOWN)
    assert "processor: " in out
    assert "operations" in out


def test_what_is_named(capsys, measured):
    run(capsys, "relu", "unet2", "relu", "--quick", "--dtype", "float64", "--rounds", "2")
    assert measured == [
        (Job("relu", (1, 64, 128, 128)), "float64", 2, "cpu", True),
        (Job("unet2", (1, 1, 256, 256)), "float64", 2, "cpu", True),
    ]


def test_json(capsys):
    code, out, _ = run(capsys, "film", "--json", "--quick", "--dtype", "float32")
    document = json.loads(out)
    assert code == 0
    assert [row["passes"] for row in document["rows"]] == ["forward", "both"]
    assert document["rows"][0]["ratio"] == 2
    assert document["machine"].keys() >= {"processor", "threads", "numpy", "blas kernel", "torch"}


def test_without_pytorch_it_says_so(capsys, measured, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, err = run(capsys, "relu", "--quick")
    assert code == 0
    assert "PyTorch is not installed (pip install torch): measured alone" in err
    assert {beside for *_, beside in measured} == {False}
    assert "there is nothing to compare with" in out


def test_a_picture(capsys, measured, tmp_path):
    file = tmp_path / "unet.svg"
    code, out, _ = run(capsys, "unet", "--svg", file, "--rounds", "1")
    assert code == 0
    assert len(measured) == 9  # one size is in both panels
    assert {dtype for _, dtype, *_ in measured} == {"float32"}
    texts = [text.text for text in ET.parse(file).getroot().iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0].startswith("unet: forward and backward, float32, ")
    assert {"1024 x 1024", "16", "PyTorch"} <= set(texts)
    assert "### unet, float32" in out


def test_a_picture_of_what_has_no_gradient(capsys, tmp_path, monkeypatch):
    whole = command.measure
    monkeypatch.setattr(command, "measure", lambda *a, **k: [row for row in whole(*a, **k) if row.passes == "forward"])
    run(capsys, "batch_norm_running_stats", "--svg", tmp_path / "b.svg")
    assert "batch_norm_running_stats: forward, float32" in (tmp_path / "b.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rellu"], "'rellu' is no operation or network; did you mean relu? Known: conv2d,"),
        (["qqq"], "'qqq' is no operation or network. Known: conv2d,"),
        (["relu", "--rounds", "0"], "--rounds (0) must be at least 1"),
        (["--svg", "x.svg"], "--svg draws one operation or network: name it"),
        (["relu", "unet", "--svg", "x.svg"], "--svg draws one operation or network: name it"),
    ],
)
def test_wrong_usage(capsys, measured, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out, measured) == (2, "", [])
    assert message in err


@pytest.mark.parametrize("name", command.OVERRIDES)
def test_nothing_is_measured_with_another_kernel(capsys, measured, monkeypatch, name):
    monkeypatch.setenv(name, "Haswell")
    code, _, err = run(capsys, "relu")
    assert (code, measured) == (2, [])
    assert f"unset {name} first" in err


def test_a_folder_that_is_not_there(capsys, tmp_path):
    code, _, err = run(capsys, "relu", "--svg", tmp_path / "none" / "x.svg")
    assert code == 4
    assert "No such file" in err


class TestDevice:
    def test_none(self, capsys, measured, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        code, _, err = run(capsys, "relu", "--device", "gpu")
        assert (code, measured) == (3, [])
        assert "needs CuPy" in err

    @pytest.fixture
    def device(self, monkeypatch):
        monkeypatch.setattr(command, "need_device", lambda: None)

    def test_tf32_is_off_on_both_sides(self, capsys, measured, device, torch):
        code, out, _ = run(capsys, "relu", "--device", "gpu", "--quick")
        assert code == 0
        assert {tuple(rest) for _, _, *rest in measured} == {(5, "gpu", True)}
        assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is False
        assert "gpu: " in out

    def test_pytorch_without_cuda(self, capsys, measured, device, torch):
        torch.cuda.is_available = lambda: False
        _, _, err = run(capsys, "relu", "--device", "gpu", "--quick")
        assert "PyTorch sees no device: measured alone" in err
        assert {beside for *_, beside in measured} == {False}


class TestProcessor:
    def test_as_linux_calls_it(self, monkeypatch):
        lines = "processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nprocessor\t: 1\nmodel name\t: Other\n"
        monkeypatch.setattr(Path, "read_text", lambda *_, **__: lines)
        assert command._processor() == "Some CPU: 3 GHz"

    def test_elsewhere(self, monkeypatch):
        def nothing(*_, **__):
            raise FileNotFoundError

        monkeypatch.setattr(Path, "read_text", nothing)
        monkeypatch.setattr(command.platform, "processor", lambda: "")
        monkeypatch.setattr(command.platform, "machine", lambda: "riscv64")
        assert command._processor() == "riscv64"


def test_what_is_installed_is_said(monkeypatch):
    found = {"python": "3", "numpy": "2", "blas kernel": [], "unet_ref": "0", "gpu": "none"}
    for optional, expected in (["torch 2.13"], "torch 2.13"), ([], "none"):
        monkeypatch.setattr(command, "examine", lambda optional=optional: found | {"optional": optional})
        assert command.machine("gpu")["torch"] == expected
