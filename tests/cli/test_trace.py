"""``unet-ref trace``: what it counts, that it fits a terminal, and what it refuses."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from unet_ref.cli import main
from unet_ref.cli.console import human
from unet_ref.cli.network import INPUTS
from unet_ref.cli.trace import headings
from unet_ref.models import MODELS, Model
from unet_ref.models.plan import plan


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def never_run(monkeypatch):
    """A plan touches no number: the passes are not there to be called."""
    for name in ("forward", "trace", "backward", "init"):
        monkeypatch.setattr(Model, name, None)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_activation_in_80_columns_without_computing_one(name, capsys, never_run):
    code, out, err = run(capsys, "trace", name)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    planned = plan(MODELS[name](), INPUTS[name])
    heading, found = "", []
    for line in lines[2:-3]:
        cells = line.split()
        if len(cells) == 1:
            heading = cells[0] + "."
            continue
        found.append((heading if line.startswith("  ") else "") + cells[0])
        step = planned.steps[len(found) - 1]
        costs = [human(n) if n else "-" for n in (step.parameters, step.multiply_adds, step.nbytes)]
        assert cells[1:] == [step.op, "x".join(map(str, step.shape)), *costs]
    assert found == [step.name for step in planned.steps]
    assert lines[-3].split() == ["total", str(len(found)), "steps",
                                 *map(human, (planned.parameters, planned.multiply_adds, planned.nbytes))]  # fmt: skip
    assert lines[-1] == (
        f"peak memory beside the parameters: forward {human(planned.forward_peak)}B, "
        f"forward and backward {human(planned.backward_peak)}B"
    )


@pytest.mark.parametrize("name", list(MODELS))
def test_blocks_add_up(name, capsys, never_run):
    _, out, _ = run(capsys, "trace", name, "--blocks")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    planned = plan(MODELS[name](), INPUTS[name])
    steps, names = list(planned.steps), []
    for line in lines[2:-3]:
        block, *cells = line.split()
        count = int(cells[0]) if cells[1] == "steps" else 1
        part, steps = steps[:count], steps[count:]
        names.append(block)
        assert all(step.name == block or step.name.startswith(f"{block}.") for step in part)
        sums = [sum(step[k] for step in part) for k in (4, 5, 6)]
        assert cells[-4:] == ["x".join(map(str, part[-1].shape)), *(human(n) if n else "-" for n in sums)]
    assert not steps
    assert len(names) < len(planned.steps)


def test_blocks_of_resnet50_are_its_bottlenecks(capsys):
    _, out, _ = run(capsys, "trace", "resnet50", "--blocks")
    names = [line.split()[0] for line in out.splitlines()[2:-3]]
    stages = [f"layer{k}.{i}" for k, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)) for i in range(blocks)]
    assert names == ["conv1", "bn1", "relu", "maxpool", *stages, "avgpool", "flatten", "fc"]


def test_headings_are_as_short_as_they_can_be():
    names = ["a", "long.name.of.a.step.0", "long.b", "b.0.conv", "b.1", "an.unbearable_long_last_part"]
    assert headings(names) == ["", "long", "long", "", "", "an"]
    assert headings(["one.of_eighteen_chars", "one.two.of_eighteen_chars", "one"]) == ["", "", ""]


def test_json_is_the_plan(capsys, never_run):
    code, out, _ = run(capsys, "trace", "unet_film", "--json", "--set", "base_channels=4", "--input", "3,17,32,48")
    document = json.loads(out)
    planned = plan(MODELS["unet_film"](base_channels=4), (3, 17, 32, 48))
    assert code == 0
    assert document["output_shape"] == [3, 1, 32, 48]
    assert document["parameters"] == planned.parameters == sum(step["parameters"] for step in document["steps"])
    assert document["multiply_adds"] == planned.multiply_adds
    assert document["activation_bytes"] == planned.nbytes
    assert document["peak_bytes"] == {
        "forward": planned.forward_peak, "forward_and_backward": planned.backward_peak,
    }  # fmt: skip
    pool = next(step for step in document["steps"] if step["name"] == "down1.0")
    assert pool == {
        "name": "down1.0", "op": "max_pool2d", "inputs": ["inc.double_conv.5"], "shape": [3, 4, 16, 24], "parameters": 0,
        "multiply_adds": 0, "nbytes": 4 * 3 * 4 * 16 * 24, "kernel": 2, "stride": 2,
    }  # fmt: skip
    first = document["steps"][0]
    assert (first["kernel"], first["stride"], first["parameters"]) == (3, 1, 17 * 4 * 9)
    assert first["multiply_adds"] == 3 * 4 * 32 * 48 * 17 * 9


def test_half_the_bytes_in_half_precision(capsys, never_run):
    _, single, _ = run(capsys, "trace", "unet", "--json", "--set", "depth=2", "--input", "1,3,8,8")
    _, half, _ = run(capsys, "trace", "unet", "--json", "--set", "depth=2", "--input", "1,3,8,8", "--dtype", "float16")
    single, half = json.loads(single), json.loads(half)
    assert half["activation_bytes"] * 2 == single["activation_bytes"]
    assert half["peak_bytes"]["forward_and_backward"] * 2 == single["peak_bytes"]["forward_and_backward"]


SMALL = "--set", "base_channels=3", "--input", "2,3,16,16"


def test_values_are_those_of_the_passes(capsys):
    code, out, _ = run(capsys, "trace", "unet", "--values", "--json", "--seed", "5", "--dtype", "float64", *SMALL)
    steps = {step["name"]: step for step in json.loads(out)["steps"]}
    assert code == 0
    model, rng = MODELS["unet"](base_channels=3), np.random.default_rng(5)
    state = model.init(rng, "float64")
    trace = model.trace(state, rng.standard_normal((2, 3, 16, 16)), training=True, record="all")
    grads = model.backward(state, trace, rng.standard_normal((2, 2, 16, 16)), record=True)
    assert steps.keys() == trace.steps.keys() == grads.activations.keys()
    for name, step in steps.items():
        assert step["mean"] == trace[name].mean()
        assert step["spread"] == trace[name].std()
        assert step["gradient_mean"] == grads.activations[name].mean()
        assert step["gradient_spread"] == grads.activations[name].std()


def test_values_in_80_columns(capsys):
    arguments = "--values", "--set", "base_channels=2", "--input", "2,17,32,32"
    code, out, _ = run(capsys, "trace", "unet_film", *arguments)
    lines = out.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:] if len(line.split()) > 1}
    assert len(rows["film.chunk"]) == 5
    assert all(np.isfinite(float(cell)) for cells in rows.values() for cell in cells[1:])
    _, again, _ = run(capsys, "trace", "unet_film", *arguments)
    assert again == out
    _, other, _ = run(capsys, "trace", "unet_film", *arguments, "--seed", "1")
    assert other != out
    _, evaluated, _ = run(capsys, "trace", "unet_film", *arguments, "--eval")
    rows_eval = {line.split()[0]: line.split()[1:] for line in evaluated.splitlines()[2:] if len(line.split()) > 1}
    assert rows_eval["inc.double_conv.0"][1:3] == rows["inc.double_conv.0"][1:3]  # before the first norm all is alike
    assert rows_eval["inc.double_conv.1"][1:3] != rows["inc.double_conv.1"][1:3]


def test_what_is_no_number_is_null(capsys, monkeypatch):
    monkeypatch.setattr("unet_ref.cli.trace._moments", lambda _: (float("inf"), float("nan")))
    _, out, _ = run(capsys, "trace", "unet", "--values", "--json", *SMALL)
    step = json.loads(out)["steps"][0]
    assert step["mean"] is step["spread"] is step["gradient_spread"] is None


def test_a_drawing_is_written_whole_or_not_at_all(capsys, tmp_path):
    file = tmp_path / "u.svg"
    code, out, _ = run(capsys, "trace", "context_unet", "--svg", file)
    assert code == 0
    assert out.startswith("activation")
    assert ET.parse(file).getroot().tag.endswith("svg")
    code, _, err = run(capsys, "trace", "context_unet", "--svg", tmp_path / "none" / "u.svg")
    assert code == 4
    assert "No such file" in err
    assert list(tmp_path.iterdir()) == [file]


def test_heights_and_channels_that_are_set_are_the_inputs_too(capsys):
    _, out, _ = run(capsys, "trace", "context_unet", "--json", "--set", "height=16", "--set", "in_channels=5",
                    "--set", "n_feat=8")  # fmt: skip
    assert json.loads(out)["output_shape"] == [1, 5, 16, 16]
    _, out, _ = run(capsys, "trace", "unet2", "--json", "--set", "base_channels=3", "--set", "up_padding=0")
    assert json.loads(out)["steps"][0]["shape"] == [1, 3, 256, 256]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unet", "--input", "1,3,8"], "--input '1,3,8' must be four positive sizes N,C,H,W"),
        (["unet", "--input", "1,3,8,0"], "--input '1,3,8,0' must be four positive sizes N,C,H,W"),
        (["unet", "--input", "a,3,8,8"], "--input 'a,3,8,8' must be integers joined by commas"),
        (["unet", "--input", "1,3,40,33"], "skip of level 4 is 5 high, upsampled 4"),
        (["unet", "--set", "deep=3"], "got an unexpected keyword argument 'deep'"),
        (["unet", "--set", "depth=0"], "UNet: depth (0) must be a natural number other than 0"),
        (["unet", "--set", "depth"], "--set depth: must be ARGUMENT=NUMBER"),
        (["unet", "--set", "depth=x"], "--set depth=x: must be ARGUMENT=NUMBER"),
        (["unet2", "--set", "pool_kernel=0"], "UNet2Config: pool_kernel (0) must be a natural number other than 0"),
    ],
)
def test_bad_input_ends_in_a_sentence_and_2(capsys, arguments, message):
    code, out, err = run(capsys, "trace", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_an_unknown_network_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["trace", "vnet"])
    assert stopped.value.code == 2
    assert "resnet_unet" in capsys.readouterr().err
