"""``unet-ref export``: one file with a run of a network, and what is refused."""

import numpy as np
import pytest

from unet_ref import models
from unet_ref.cli import main
from unet_ref.models.export import read

SMALL = ("unet", "--set", "in_channels=2", "--set", "base_channels=1", "--set", "depth=1", "--input", "3,2,4,6")
UNET = models.UNet(in_channels=2, base_channels=1, depth=1)


def run(capsys, *arguments):
    code = main(["export", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_the_file_holds_the_run(capsys, tmp_path, suffix):
    file = tmp_path / f"run.{suffix}"
    code, out, _ = run(capsys, *SMALL, file, "--dtype", "float64", "--seed", "5")
    assert code == 0
    tensors, metadata = read(file)
    assert out == f"{file}: {len(tensors)} tensors, {sum(a.nbytes for a in tensors.values()) / 1000:.1f}kB\n"
    assert metadata["recipe"]["model"] == "unet"
    assert metadata["recipe"]["training"] is True
    state = {name.removeprefix("state."): a for name, a in tensors.items() if name.startswith("state.")}
    np.testing.assert_array_equal(UNET.forward(state, tensors["input.x"], training=True), tensors["output"])
    again = UNET.init(np.random.default_rng(5), "float64")
    np.testing.assert_array_equal(state["out.weight"], again["out.weight"])


def test_a_state_of_ones_own(capsys, tmp_path, rng):
    state = UNET.init(rng, "float32", "he")
    UNET.save(tmp_path / "state.npz", state)
    code, _, _ = run(capsys, *SMALL, tmp_path / "run.npz", "--state", tmp_path / "state.npz", "--eval")
    assert code == 0
    tensors, metadata = read(tmp_path / "run.npz")
    assert metadata["recipe"]["training"] is False
    assert metadata["recipe"]["scheme"] is None
    for name, array in state.items():
        np.testing.assert_array_equal(tensors[f"state.{name}"], array, strict=True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run.pt",), 2, "run.pt: the name must end in .safetensors or .npz"),
        (("run.npz", "--state", "absent.npz"), 4, "absent.npz"),
        (("absent/run.npz",), 4, "absent"),
        (("run.npz", "--input", "3,2,5,6"), 2, "nearest that fit"),
        (("run.npz", "--input", "3,2,4"), 2, "must be four positive sizes N,C,H,W"),
        (("run.npz", "--input", "3,2,4,big"), 2, "must be integers joined by commas"),
        (("run.npz", "--set", "depth=deep"), 2, "must be ARGUMENT=NUMBER"),
    ],
)
def test_what_cannot_be_exported(capsys, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    got, out, err = run(capsys, *SMALL, *arguments)
    assert (got, out) == (code, "")
    assert message in err
    assert not list(tmp_path.iterdir())
