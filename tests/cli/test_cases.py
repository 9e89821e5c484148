"""``unet-ref cases``: what it writes, what it says, and that a run that fails leaves the old manifest."""

import json

import numpy as np
import pytest

from unet_ref.cli import main
from unet_ref.judge.files import read_cases


def run(capsys, *arguments):
    code = main(["cases", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_person(capsys, tmp_path):
    code, out, err = run(capsys, tmp_path / "a b", "relu", "glu")
    assert (code, err) == (0, "")
    count = len(read_cases(tmp_path / "a b")[1])
    assert out.startswith(f"{tmp_path / 'a b'}: {count} cases of 2 operations in float32\n")
    assert f"unet-ref judge '{tmp_path / 'a b'}' RESULTS" in out
    assert all(len(line) <= 80 for line in out.splitlines() if str(tmp_path) not in line)


def test_a_program(capsys, tmp_path):
    code, out, _ = run(capsys, tmp_path, "relu", "--json", "--dtype", "float64", "--format", "npy")
    manifest = json.loads(out)
    assert code == 0
    assert manifest == json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert (manifest["profile"], manifest["file"]) == ("float64", "npy")
    entry = manifest["cases"][0]
    x = np.load(tmp_path / entry["file"] / "x.npy")
    assert (str(x.dtype), list(x.shape)) == tuple(entry["tensors"]["x"].values())


def test_an_unknown_operation(capsys, tmp_path):
    code, out, err = run(capsys, tmp_path, "relu", "conv9")
    assert (code, out) == (2, "")
    assert err.startswith("unet-ref cases: 'conv9' is no operation; they are conv2d, ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_written(capsys, tmp_path, place):
    (tmp_path / "file").write_text("old", "utf-8")
    code, out, err = run(capsys, tmp_path / place, "relu")
    assert (code, out) == (4, "")
    assert err.startswith("unet-ref cases: ")
    assert (tmp_path / "file").read_text("utf-8") == "old"


def test_without_safetensors(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    code, _, err = run(capsys, tmp_path, "relu", "--format", "safetensors")
    assert code == 3
    assert "pip install 'unet-ref[safetensors]'" in err


def test_a_full_disk_leaves_the_old_manifest(capsys, tmp_path, monkeypatch):
    run(capsys, tmp_path, "relu")
    old = (tmp_path / "manifest.json").read_bytes()

    def full(path, **_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("unet_ref.models.state.np.savez", full)
    code, _, err = run(capsys, tmp_path, "relu", "--dtype", "float64")
    assert code == 4
    assert "No space left on device" in err
    assert (tmp_path / "manifest.json").read_bytes() == old
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    monkeypatch.undo()
    assert read_cases(tmp_path)[0] == "float32"
