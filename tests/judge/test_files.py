"""Cases written and read back bit by bit, results in every kind of file, and a sentence for each that does not fit."""

import json

import numpy as np
import pytest

from unet_ref.check.bounds import profile_of
from unet_ref.check.table import OPERATIONS
from unet_ref.judge import designed_cases, judge_results
from unet_ref.judge.files import (
    FileError,
    lacking,
    named,
    named_results,
    read,
    read_cases,
    read_results,
    write,
    write_cases,
)
from unet_ref.judge.mistake import right

NAMES = ["conv2d", "concat", "batch_norm_running_stats", "cross_entropy", "pad2d"]
KINDS = {"npz": ".npz", "safetensors": ".safetensors", "npy": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cases")
    write_cases(path, NAMES)
    return path


@pytest.fixture
def first(folder):
    """The first case of an operation, with where it is."""

    def find(name):
        return next(stored for stored in read_cases(folder)[1] if stored.case.name == name)

    return find


def same(one, other):
    for (name, a), (key, b) in zip(named(one).items(), named(other).items(), strict=True):
        assert (name, a.dtype, a.shape) == (key, b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", ["float32", "float64", "float16", "bfloat16"])
def test_cases_come_back_as_they_were(tmp_path, kind, profile):
    manifest = write_cases(tmp_path / "new" / "folder", ["concat", "upsample_nearest2d"], profile=profile, kind=kind)
    found, stored = read_cases(tmp_path / "new" / "folder")
    assert found == manifest["profile"] == profile
    dtype = profile_of(profile).dtype
    cases = [case for name in ("concat", "upsample_nearest2d") for case in designed_cases(name, dtype)]
    assert len(cases) == len(stored) == len(manifest["cases"])
    for case, back in zip(cases, stored, strict=True):
        assert (back.case.label, back.case.exact, back.case.layout) == (case.label, case.exact, case.layout)
        assert back.case.arguments.options == case.arguments.options
        same(back.case.arguments, case.arguments)


def test_all_operations_are_written_by_default(tmp_path):
    manifest = write_cases(tmp_path)
    assert {entry["operation"] for entry in manifest["cases"]} == set(OPERATIONS)
    stems = [entry["file"] for entry in manifest["cases"]]
    assert len(set(stems)) == len(stems)
    assert manifest == json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    _, stored = read_cases(tmp_path)
    for each, entry in zip(stored, manifest["cases"], strict=True):  # what the manifest promises is what is due
        results = named_results(right(each.case.arguments))
        assert {name: list(array.shape) for name, array in results.items()} == entry["results"]


def test_infinities_in_options_survive(folder):
    _, stored = read_cases(folder, ["pad2d"])
    values = [each.case.arguments.options.get("value") for each in stored]
    written = [case.arguments.options.get("value") for case in designed_cases("pad2d")]
    assert values == written
    assert float("-inf") in values


def test_only_some(folder, first):
    _, stored = read_cases(folder, ["concat", first("conv2d").stem])
    assert {each.case.name for each in stored} == {"concat", "conv2d"}
    assert sum(each.case.name == "conv2d" for each in stored) == 1
    with pytest.raises(FileError, match=r"has no cases of conv3d, relu"):
        read_cases(folder, ["relu", "concat", "conv3d"])


# --- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_results_in_every_kind_of_file_are_judged(tmp_path, folder, name, kind):
    _, stored = read_cases(folder, [name])
    pairs = []
    for each in stored:
        path = tmp_path / f"{each.stem}{KINDS[kind]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, named_results(right(each.case.arguments)))
        results = read_results(tmp_path, each)
        assert lacking(each, results) == []
        pairs.append((each.case, results))
    report = judge_results(pairs, name)
    assert report.ok
    assert not report.skipped


def test_nothing_was_made_of_a_case(tmp_path, first):
    assert read_results(tmp_path, first("conv2d")) is None


def made(tmp_path, stored, tensors):
    path = tmp_path / f"{stored.stem}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **tensors)
    return read_results(tmp_path, stored)


def test_a_part_of_the_results(tmp_path, first):
    stored = first("conv2d")
    tensors = named_results(right(stored.case.arguments))
    results = made(tmp_path, stored, {"grad.weight": tensors["grad.weight"], "output": tensors["output"]})
    assert set(results.grads) == {"weight"}
    assert lacking(stored, results) == ["grad.x", "grad.bias"]
    results = made(tmp_path, stored, {"grad.x": tensors["grad.x"]})
    assert results.output is None
    assert judge_results([(stored.case, results)], "conv2d").ok


def test_arguments_may_lie_beside_results(tmp_path, first):
    stored = first("concat")
    tensors = named_results(right(stored.case.arguments))
    assert "arrays.0" in named(stored.case.arguments)
    assert made(tmp_path, stored, tensors | named(stored.case.arguments)).output is not None


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("conv2d", lambda t: {}, "holds nothing; expected output, grad.x, grad.weight, grad.bias"),
        ("conv2d", lambda t: {"y": t["output"]}, "holds y; expected output"),
        ("conv2d", lambda t: t | {"dx": t["grad.x"]}, "holds dx, grad.bias, "),
        ("concat", lambda t: {n: a for n, a in t.items() if n != "grad.arrays.1"}, "holds grad.arrays.0 but not all of"),
        ("batch_norm_running_stats", lambda t: {"output.1": t["output.1"]}, "holds output.1 but not all of output.0, "),
        ("conv2d", lambda t: {"output": t["output"].astype(str)}, "the dtype of output (<U32) must be one of real numbers"),
        ("conv2d", lambda t: {"output": t["output"] * 1j}, "the dtype of output (complex64) must be"),
        ("conv2d", lambda t: {"output": np.array([{}])}, "Object arrays cannot be loaded"),
    ],
)  # fmt: skip
def test_results_that_do_not_fit(tmp_path, first, name, change, message):
    stored = first(name)
    with pytest.raises(FileError) as caught:
        made(tmp_path, stored, change(named_results(right(stored.case.arguments))))
    assert str(caught.value).startswith(f"{tmp_path / stored.stem}.npz")
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no archive", b"\x93NUMPY"])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_damaged_file_names_itself(tmp_path, content, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read(path)
    assert str(caught.value).count(str(path)) == 1


def test_a_damaged_array_of_a_folder(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(FileError, match="cannot be read: "):
        read(tmp_path)


def test_a_package_that_is_missing_is_no_damage(tmp_path, monkeypatch):
    write(tmp_path / "x.safetensors", {"x": np.zeros(2)})
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(ImportError, match="need the package safetensors"):
        read(tmp_path / "x.safetensors")


# --- manifests that do not fit ----------------------------------------------------------------------------------------


@pytest.fixture
def changed(tmp_path):
    """Writes one case, changes its manifest, and gives the message."""
    write_cases(tmp_path, ["conv2d"])
    whole = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    whole["cases"] = whole["cases"][:1]

    def message(entry=None, **more):
        document = whole | more if entry is None else whole | {"cases": [whole["cases"][0] | entry]}
        (tmp_path / "manifest.json").write_text(json.dumps(document), "utf-8")
        with pytest.raises(FileError) as caught:
            read_cases(tmp_path)
        return str(caught.value)

    return message


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"operation": "conv9"}, "'conv9' is no operation"),
        ({"operation": 3}, "operation (3) is no operation"),
        ({"label": "\x1b[31m"}, "is no label"),
        ({"label": "\ud800"}, "is no label"),
        ({"layout": None}, "layout (None) is no layout"),
        ({"file": "../conv2d/000-plain"}, "is no file"),
        ({"file": "conv2d/absent"}, "absent.npz cannot be read"),
        ({"options": {"stride": "wide"}}, "ShapeError: conv2d: stride ('wide')"),
        ({"options": {"wings": 2}}, "unexpected keyword argument 'wings'"),
        ({"options": 3}, "AttributeError"),
        ({"arguments": {"x": 7}}, "KeyError: 'x.0'"),
        ({"arguments": {}}, "missing 2 required positional arguments"),
        ({"exact": 3}, "TypeError"),
        ({"sha256": "0"}, "000-plain.npz: the checksum does not fit its contents"),
    ],
)
def test_an_entry_that_does_not_fit(changed, entry, message):
    assert message in changed(entry)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"cases": []}, "has no cases of any operation"),
        ({"cases": [[]]}, "TypeError"),
        ({"format": "unet_ref cases 9"}, "its format must be 'unet_ref cases 1'"),
        ({"profile": "float31"}, "profile ('float31') must be one of"),
        ({"profile": []}, "TypeError"),
        ({"file": "exe"}, "KeyError: 'exe'"),
    ],
)
def test_a_manifest_that_does_not_fit(changed, more, message):
    assert message in changed(**more)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe\0", b"[" * 100_000, b'{"profile": "float32"}'])
def test_a_manifest_that_is_none(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(FileError, match=r"manifest.json is no manifest of `unet-ref cases`: "):
        read_cases(tmp_path)


def test_a_folder_without_a_manifest(tmp_path):
    with pytest.raises(FileError, match=r"manifest.json is missing: is .* a folder of `unet-ref cases`\?"):
        read_cases(tmp_path)


def test_another_kind_of_file_from_before_is_not_read(tmp_path):
    write_cases(tmp_path, ["relu"], profile="float64")
    write_cases(tmp_path, ["relu"], kind="npy")
    profile, stored = read_cases(tmp_path)
    assert profile == "float32"
    assert stored[0].case.arguments.arrays["x"].dtype == "float32"
