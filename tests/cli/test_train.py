"""``unet-ref train``: what it prints and writes, and what it refuses before any work."""

import json
import sys
import types

import numpy as np
import pytest

from unet_ref.cli import main
from unet_ref.cli import train as command
from unet_ref.models import UNet2, UNet2Config

QUICK = "unet2", "--steps", "30", "--set", "base_channels=4", "--input", "2,1,16,16"


def run(capsys, *arguments):
    code = main(["train", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_losses_are_printed_and_fall(capsys):
    code, out, err = run(capsys, *QUICK)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "unet2: segmentation of blobs, adam with lr 0.01"
    assert lines[2].split() == ["steps", "cross_entropy"]
    rows = [line.split() for line in lines[4:-2]]
    assert [row[0] for row in rows] == [f"{k}-{k + 2}" for k in range(1, 30, 3)]
    assert lines[-1] == f"The loss falls: {rows[0][1]} at the start, {rows[-1][1]} at the end."
    assert float(rows[-1][1]) < float(rows[0][1])


def test_json_and_seeds(capsys):
    code, out, _ = run(capsys, *QUICK, "--json", "--optimizer", "sgd", "--dtype", "float64")
    document = json.loads(out)
    assert code == 0
    assert document["options"] == {"base_channels": 4}
    assert document["input"] == [2, 1, 16, 16]
    assert (document["optimizer"], document["lr"], document["dtype"]) == ("sgd", 0.05, "float64")
    assert len(document["losses"]) == 30
    assert document["falls"] is True
    assert json.loads(run(capsys, *QUICK, "--json", "--optimizer", "sgd", "--dtype", "float64")[1]) == document
    other = json.loads(run(capsys, *QUICK, "--json", "--optimizer", "sgd", "--dtype", "float64", "--seed", "1")[1])
    assert other["losses"][0] != document["losses"][0]


def test_two_steps_are_two_rows(capsys):
    _, out, _ = run(capsys, *QUICK[:1], "--steps", "2", *QUICK[3:], "--lr", "0.5")
    assert [line.split()[0] for line in out.splitlines()[4:6]] == ["1", "2"]
    assert "adam with lr 0.5" in out


def test_the_trained_state_is_written(capsys, tmp_path):
    file = tmp_path / "trained.npz"
    run(capsys, *QUICK, "--state", file)
    model = UNet2(config=UNet2Config(base_channels=4))
    state = model.load(file)
    fresh = model.init(np.random.default_rng(0), "float32")
    assert all((state[name] != fresh[name]).any() for name in state)


def test_a_loss_that_does_not_fall_ends_in_1(capsys):
    code, out, _ = run(capsys, *QUICK, "--lr", "-0.01")
    assert code == 1
    assert out.splitlines()[-1].startswith("The loss does not fall: ")


def test_a_loss_that_is_no_number_ends_in_1(capsys, monkeypatch):
    monkeypatch.setattr(command, "train", lambda model, state, batches, **_: ((float("nan"), state) for _ in batches))
    code, out, _ = run(capsys, *QUICK, "--json")
    assert code == 1
    assert json.loads(out)["losses"] == [None] * 30


@pytest.fixture
def drawn(monkeypatch):
    """A stand-in for matplotlib, which the suite does not need: it writes what it was told to draw."""
    told = {}

    class Axes:
        def plot(self, steps, losses, **_):
            told["steps"], told["losses"] = list(steps), list(losses)

        def grid(self, **_):
            told["grid"] = True

    class Figure:
        def __init__(self, **_):
            self.canvas = types.SimpleNamespace(get_supported_filetypes=lambda: {"png": "", "svg": ""})

        def add_subplot(self, **labels):
            told.update(labels)
            return Axes()

        def savefig(self, name, **options):
            told.update(options)
            with open(name, "w", encoding="utf-8") as file:
                file.write("a picture")

    monkeypatch.setitem(sys.modules, "matplotlib", types.ModuleType("matplotlib"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", types.SimpleNamespace(Figure=Figure))
    return told


def test_the_plot(capsys, tmp_path, drawn):
    file = tmp_path / "losses.svg"
    code, out, _ = run(capsys, *QUICK, "--json", "--plot", file)
    assert code == 0
    assert file.read_text(encoding="utf-8") == "a picture"
    assert drawn["losses"] == json.loads(out)["losses"]
    assert drawn["steps"] == list(range(1, 31))
    assert (drawn["title"], drawn["ylabel"], drawn["format"]) == (
        "unet2: segmentation of blobs",
        "cross_entropy",
        "svg",
    )


def test_matplotlib_itself_writes_it(capsys, tmp_path):
    pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install matplotlib")
    file = tmp_path / "losses.png"
    assert run(capsys, *QUICK, "--plot", file)[0] == 0
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--steps", "1"], 2, "--steps (1) must be at least 2"),
        (["--state", "trained.pt"], 2, "--state trained.pt: the name must end in .safetensors or .npz"),
        (["--plot", "losses.txt"], 2, "--plot losses.txt: the name must end in one of .png, .svg"),
        (["--input", "2,1,15,16"], 2, "nearest that fit: 14 x 16, 16 x 16"),
        (["--input", "2,3,16,16"], 2, "down1_1"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(capsys, monkeypatch, drawn, arguments, code, message):
    monkeypatch.setattr(command, "start", None)
    monkeypatch.setattr(command, "train", None)
    assert run(capsys, *QUICK, *arguments)[0] == code
    run(capsys, *QUICK, *arguments)
    found, out, err = run(capsys, *QUICK, *arguments)
    assert (found, out) == (code, "")
    assert message in err


@pytest.mark.parametrize(
    ("argument", "package", "extra"),
    [(("--plot", "a.png"), "matplotlib", "plot"), (("--state", "a.safetensors"), "safetensors", "safetensors")],
)
def test_a_missing_package_is_said_at_once_and_ends_in_3(capsys, monkeypatch, argument, package, extra):
    for module in (package, f"{package}.figure", f"{package}.numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(command, "train", None)
    code, out, err = run(capsys, *QUICK, *argument)
    assert (code, out) == (3, "")
    assert f"needs {package} (pip install 'unet-ref[{extra}]')" in err


def test_safetensors_is_looked_for_only_where_it_is_asked_for(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert run(capsys, *QUICK, "--state", tmp_path / "a.npz")[0] == 0


def test_a_folder_that_is_not_there_ends_in_4(capsys, tmp_path):
    code, _, err = run(capsys, *QUICK, "--state", tmp_path / "none" / "a.npz")
    assert code == 4
    assert "No such file" in err


def test_float16_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", *QUICK, "--dtype", "float16"])
    assert stopped.value.code == 2
    assert "invalid choice: 'float16'" in capsys.readouterr().err
