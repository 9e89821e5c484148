"""``unet-ref compare``: what a person sees, what a program gets, and what happens to files that do not fit."""

import json

import numpy as np
import pytest

from unet_ref import models
from unet_ref.cli import main
from unet_ref.models import state as states
from unet_ref.models.export import checksum, export, read

OPTIONS = {"in_channels": 2, "base_channels": 2, "depth": 1}
GUILTY = "activation.down.0.conv.conv_block.2"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "unet.npz"
    export(path, "unet", OPTIONS, models.UNet(**OPTIONS), (3, 2, 6, 10), seed=4)
    return path


@pytest.fixture
def theirs(reference):
    """The tensors that another implementation would write: all but state and inputs."""
    return {n: a for n, a in read(reference)[0].items() if not n.startswith(("state.", "input."))}


def run(capsys, *arguments):
    code = main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def folder(path, tensors):
    path.mkdir()
    for name, array in tensors.items():
        np.save(path / f"{name}.npy", array)
    return path


def write(path, kind, tensors):
    if kind == "folder":
        return folder(path / "theirs", tensors)
    states.save(path / f"theirs.{kind}", tensors)
    return path / f"theirs.{kind}"


@pytest.mark.parametrize("kind", ["npz", "safetensors", "folder"])
def test_every_kind_of_file(capsys, reference, theirs, tmp_path, kind):
    code, out, _ = run(capsys, reference, write(tmp_path, kind, theirs))
    assert (code, out) == (0, f"All {len(theirs)} tensors are within their layers' bounds.\n")


@pytest.mark.parametrize("kind", ["npz", "safetensors", "folder"])
def test_the_first_guilty_layer(capsys, reference, theirs, tmp_path, kind):
    theirs[GUILTY] = theirs[GUILTY] * np.float32(1.01)
    code, out, _ = run(capsys, reference, write(tmp_path, kind, theirs))
    assert code == 1
    assert f"First guilty in the forward pass: {GUILTY} (conv2d)\n" in out
    assert " times its bound, at (" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "holds" not in out


def test_without_forcing_and_all_rows(capsys, reference, theirs, tmp_path):
    theirs[GUILTY] = theirs[GUILTY] * np.float32(1.01)
    path = write(tmp_path, "npz", theirs)
    code, out, _ = run(capsys, reference, path, "--whole", "--all")
    assert code == 1
    assert f"First different in the forward pass: {GUILTY} (conv2d)" in out
    assert "holds" in out
    code, out, _ = run(capsys, reference, path, "--whole", "--json")
    document = json.loads(out, parse_constant=pytest.fail)
    assert (code, document["holds"], document["forced"]) == (1, False, False)
    assert [row["tensor"] for row in document["tensors"] if not row["ok"]] == [GUILTY]


def test_what_is_missing_is_counted(capsys, reference, theirs, tmp_path):
    del theirs["output"], theirs["grad.param.out.bias"]
    code, out, _ = run(capsys, reference, write(tmp_path, "npz", theirs))
    assert code == 0
    assert out.startswith("2 tensors of the reference are not in theirs.npz.\nAll ")


def test_a_looser_arithmetic_is_allowed_where_it_is_asked_for(capsys, reference, theirs, tmp_path):
    # TF32 rounds the factors of a convolution to 11 bits
    theirs["activation.out"] = theirs["activation.out"] * np.float32(1 + 2.0**-13)
    theirs["output"] = theirs["activation.out"]
    path = write(tmp_path, "npz", theirs)
    assert run(capsys, reference, path)[0] == 1
    assert run(capsys, reference, path, "--profile", "tf32")[0] == 0
    code, out, err = run(capsys, reference, path, "--profile", "tf64")
    assert (code, out) == (2, "")
    assert "'tf64' must be one of float64, " in err


def test_long_names_keep_their_ends(capsys, reference, theirs, tmp_path):
    name = "grad.param.bottleneck.conv_block.0.weight"
    theirs[name] = -theirs[name]
    _, out, _ = run(capsys, reference, write(tmp_path, "npz", theirs))
    assert "...am.bottleneck.conv_block.0.weight  conv2d" in out
    assert f"First guilty in the backward pass: {name} (conv2d)" in out


def other(path):
    """Files that cannot be the other side, by what is wrong with them."""
    (path / "empty").mkdir()
    folder(path / "damaged", {"output": np.zeros(3)})
    (path / "damaged" / "output.npy").write_bytes(b"\x93NUMPY")
    (path / "text.npz").write_text("no archive", "utf-8")
    (path / "text.txt").write_text("neither", "utf-8")
    (path / "text.safetensors").write_bytes(b"\x09\0\0\0\0\0\0\0{")
    np.savez(path / "words.npz", output=np.array(["right"]))
    np.savez(path / "objects.npz", output=np.array([{}], object))
    np.savez(path / "input.npz", **{"input.x": np.zeros((1, 2, 6, 10))})


@pytest.mark.parametrize(
    "name",
    ["absent.npz", "empty", "damaged", "text.npz", "text.txt", "text.safetensors", "words.npz", "objects.npz",
     "input.npz"],
)  # fmt: skip
def test_another_side_that_cannot_be_read(capsys, reference, tmp_path, name):
    other(tmp_path)
    code, out, err = run(capsys, reference, tmp_path / name)
    assert (code, out) == (4, "")
    assert err.startswith("unet-ref compare: ")
    assert "compare: compare" not in err
    assert err.count("\n") == 1


def test_a_reference_that_is_none(capsys, reference, theirs, tmp_path):
    tensors, metadata = read(reference)
    np.savez(tmp_path / "plain.npz", **tensors)
    assert "is no export of unet_ref" in run(capsys, tmp_path / "plain.npz", reference)[2]
    lacking = {n: a for n, a in tensors.items() if n != "grad_output"}
    states.save(tmp_path / "lacking.npz", lacking, metadata | {"sha256": checksum(lacking)})
    code, _, err = run(capsys, tmp_path / "lacking.npz", write(tmp_path, "npz", theirs))
    assert (code, err) == (4, f"unet-ref compare: {tmp_path / 'lacking.npz'} lacks 'grad_output'\n")
    states.save(tmp_path / "changed.npz", tensors | {"output": tensors["output"] + 1}, metadata)
    code, _, err = run(capsys, tmp_path / "changed.npz", reference)
    assert code == 4
    assert "the checksum does not fit" in err
