"""``unet-ref judge`` as people use it: files, functions of their own, libraries; and everything that can be wrong with them."""

import json
import re
import sys
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from unet_ref import ops
from unet_ref.cli import console, main
from unet_ref.judge import designed_cases, engines
from unet_ref.judge.files import named_results, read_cases
from unet_ref.judge.mistake import right


def run(capsys, *arguments):
    code = main(["judge", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge") / "cases"
    main(["cases", str(folder), "glu", "linear"])
    return folder


@pytest.fixture
def results(cases, tmp_path, monkeypatch):
    """Writes results, all right but for what ``change(stored, tensors)`` makes of them; ``None`` writes no file."""
    monkeypatch.chdir(tmp_path)

    def make(change=lambda stored, tensors: tensors):
        for stored in read_cases(cases)[1]:
            tensors = change(stored, named_results(right(stored.case.arguments)))
            if tensors is not None:
                path = tmp_path / "theirs" / f"{stored.stem}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.savez(path, **tensors)
        return "theirs"

    return make


def halved(stored, tensors):
    """The classic: GLU's gate on the wrong half."""
    if stored.case.name == "glu":
        arguments = stored.case.arguments
        first, second = np.split(arguments.arrays["x"], 2, arguments.options.get("axis", -1))
        tensors["output"] = second * ops.sigmoid(first)
    return tensors


class TestFiles:
    def test_right_ones(self, capsys, cases, results):
        code, out, err = run(capsys, cases, results())
        assert (code, err) == (0, "")
        assert [line.split() for line in out.splitlines()[2:]] == [
            [name, "float32", str(len(designed_cases(name))), "0", "0", "right"] for name in ("glu", "linear")
        ]

    def test_one_operation_is_told_in_full(self, capsys, cases, results):
        code, out, _ = run(capsys, cases, results(), "linear")
        assert (code, out) == (0, f"linear, float32: right in all {len(designed_cases('linear'))} cases.\n")

    def test_a_wrong_one_and_its_reproducer(self, capsys, cases, results):
        code, out, _ = run(capsys, cases, results(halved))
        assert code == 1
        assert "WRONG" in out
        assert "Looks like: " in out
        assert max(len(line) for line in out.splitlines() if "unet-ref judge" not in line) <= 80
        command = re.search(r"unet-ref judge (\S+) theirs (glu/\S+)", out)
        code, out, _ = run(capsys, *command.group(1, 0)[:1], "theirs", command[2])
        assert code == 1
        assert out.startswith("glu, float32: right in 0 of 1 cases; a bug in 1.")

    def test_documents(self, capsys, cases, results, tmp_path):
        code, out, _ = run(capsys, cases, results(halved), "--json", "--junit", "j.xml", "--html", "h.html")
        document = json.loads(out, parse_constant=pytest.fail)
        assert (code, document["ok"]) == (1, False)
        assert [(report["operation"], report["ok"]) for report in document["reports"]] == [
            ("glu", False),
            ("linear", True),
        ]
        assert document["reports"][0]["cases"][0]["reproducer"].startswith("unet-ref judge ")
        assert int(ET.parse(tmp_path / "j.xml").getroot().get("failures")) == document["reports"][0]["failed"]
        assert "unet-ref judge" in (tmp_path / "h.html").read_text("utf-8")

    def test_gaps_are_said(self, capsys, cases, results):
        def change(stored, tensors):
            if stored.case.name == "glu":
                return None
            return {name: array for name, array in tensors.items() if name != "grad.weight"}

        code, out, err = run(capsys, cases, results(change))
        assert code == 1  # nothing of glu was judged
        assert "not judged" in out
        assert err == f"{len(designed_cases('linear'))} results lack tensors, which are not judged: grad.weight\n"

    def test_a_profile_may_be_asked_for(self, capsys, cases, results):
        def change(stored, tensors):
            tensors["output"] = tensors["output"].astype("float16")
            return tensors

        theirs = results(change)
        assert run(capsys, cases, theirs, "glu")[0] == 1
        assert run(capsys, cases, theirs, "glu", "--profile", "float16")[0] == 0

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["cases"], 2, "needs a folder of results"),
            (["cases", "absent"], 4, "absent is no folder of results"),
            (["cases", "theirs", "gelu"], 4, "has no cases of gelu"),
            (["cases", "theirs", "--profile", "float31"], 2, "must be one of float64, "),
            (["absent", "theirs"], 4, "'absent' is no folder of cases, no operation, and none of torch, "),
            (["theirs", "theirs"], 4, "manifest.json is missing"),
            (["cases", "theirs", "--html", "absent/h.html"], 4, "absent/h.html cannot be written"),
            (["cases", "theirs", "--junit", "theirs"], 4, "theirs cannot be written"),
        ],
    )
    def test_what_does_not_fit(self, capsys, cases, results, arguments, code, message):
        results()
        chosen = [cases if argument == "cases" else argument for argument in arguments]
        got, out, err = run(capsys, *chosen)
        assert (got, out) == (code, "")
        assert message in err
        assert err.startswith("unet-ref judge: ")

    def test_a_damaged_result(self, capsys, cases, results, tmp_path):
        results()
        path = next((tmp_path / "theirs").rglob("*.npz"))
        path.write_bytes(path.read_bytes()[:100])
        code, out, err = run(capsys, cases, "theirs")
        assert (code, out) == (4, "")
        assert f"{path.name} cannot be read" in err

    def test_a_folder_that_may_not_be_read(self, capsys, cases, results, monkeypatch):
        theirs = results()

        def refuse(path):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("unet_ref.judge.files.Path.exists", refuse)
        code, _, err = run(capsys, cases, theirs)
        assert code == 4
        assert "Permission denied" in err

    def test_a_report_that_cannot_be_written_leaves_the_old_one(self, capsys, cases, results, tmp_path, monkeypatch):
        (tmp_path / "h.html").write_text("old", "utf-8")

        def full(self, content):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("unet_ref.models.state.Path.write_bytes", full)
        code, out, err = run(capsys, cases, results(), "--html", "h.html")
        assert code == 4
        assert "right" in out  # the work was not for nothing
        assert "No space left on device" in err
        assert (tmp_path / "h.html").read_text("utf-8") == "old"
        assert not list(tmp_path.glob(".*"))


# --- functions --------------------------------------------------------------------------------------------------------

MODULE = r"""
import sys
import numpy as np
from unet_ref import ops

relu, relu_backward, glu = ops.relu, ops.relu_backward, ops.glu

def leaky(x):
    return np.where(x > 0, x, x / 4)

def nothing(): ...

def quits(*args, **options):
    sys.exit(0)

def interrupted(*args, **options):
    raise KeyboardInterrupt

def deep(*args, **options):
    return deep(*args, **options)

def words(*args, **options):
    raise ValueError("\ud800 \x1b[31m <script>")

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def mute(*args, **options):
    raise Mute
"""


class TestFunctions:
    @pytest.fixture(autouse=True)
    def modules(self, tmp_path, monkeypatch):
        bodies = {"judged": MODULE, "raising": "raise RuntimeError('not today')", "wrong_syntax": "def f(:",
                  "quitting": "import sys; sys.exit(0)", "interrupted": "raise KeyboardInterrupt"}  # fmt: skip
        for name, body in bodies.items():
            (tmp_path / f"{name}.py").write_text(body, "utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", list(sys.path))
        yield
        for name in bodies:
            sys.modules.pop(name, None)

    def test_right_ones(self, capsys):
        code, out, err = run(capsys, "relu", "judged:relu", "judged:relu_backward")
        assert (code, err) == (0, "")
        assert out == f"relu, float32: right in all {len(designed_cases('relu'))} cases.\n"

    def test_forward_alone_in_another_arithmetic(self, capsys):
        code, out, _ = run(capsys, "glu", "judged:glu", "--profile", "float64")
        assert code == 0
        assert out.startswith("glu, float64: right in all ")

    def test_a_wrong_one(self, capsys, tmp_path):
        code, out, _ = run(capsys, "relu", "judged:leaky", "--html", "h.html", "--json")
        assert code == 1
        assert json.loads(out)["reports"][0]["failed"] > 0
        assert "judge.designed_case(&#x27;relu&#x27;" in (tmp_path / "h.html").read_text("utf-8")

    @pytest.mark.parametrize(
        ("functions", "code", "message"),
        [
            ([], 2, "judge relu needs module:forward, and may have module:backward"),
            (["a:b", "c:d", "e:f"], 2, "judge relu needs module:forward"),
            (["judged"], 2, "'judged' must be module:function"),
            (["judged:absent"], 2, "has no attribute 'absent'"),
            (["nowhere:f"], 2, "No module named 'nowhere'"),
            (["judged:relu", "--profile", "float31"], 2, "--profile 'float31' must be one of"),
            (["raising:f"], 2, "importing raising:f raised RuntimeError: not today"),
            (["wrong_syntax:f"], 2, "raised SyntaxError: invalid syntax"),
            (["quitting:f"], 2, "raised SystemExit: 0"),
            (["interrupted:f"], 130, "interrupted"),
            (["judged:quits"], 1, "calling judged:quits raised SystemExit: 0"),
            (["judged:interrupted"], 130, "interrupted"),
        ],
    )
    def test_what_cannot_be_judged(self, capsys, functions, code, message):
        got, out, err = run(capsys, "relu", *functions)
        assert (got, out) == (code, "")
        assert message in err
        assert err.count("\n") == 1

    @pytest.mark.parametrize("function", ["nothing", "deep", "words"])
    def test_a_function_that_raises_is_a_finding(self, capsys, tmp_path, function):
        code, out, _ = run(capsys, "relu", f"judged:{function}", "--html", "h.html", "--junit", "j.xml")
        assert code == 1
        assert "forward raised " in out
        ET.parse(tmp_path / "j.xml")
        assert "<script>" not in (tmp_path / "h.html").read_text("utf-8")

    def test_an_exception_without_words_ends_in_a_line(self, capsys):
        code, out, err = run(capsys, "relu", "judged:mute")
        assert code == 1
        assert "no words" in out + err
        assert "Traceback" not in err


# --- libraries --------------------------------------------------------------------------------------------------------


class Library:
    """As much of an engine's module as is asked."""

    DTYPES, LAYOUTS = ("float32",), ("contiguous",)

    def __init__(self, missing=None, **functions):
        self.missing, self.functions = missing, functions

    def version(self):
        if self.missing:
            raise self.missing
        return "Library 3.1"

    def pair(self, name, layout, dtype):
        return self.functions.get(name, (None, None))


@pytest.fixture
def library(monkeypatch):
    def install(**how):
        known = Library(**how)
        monkeypatch.setattr(engines, "module", lambda name: known)

    return install


def inexact(x, **options):
    return ops.sigmoid(x.astype("float16")).astype("float32")


class TestLibraries:
    def test_a_right_one(self, capsys, library):
        library(relu=(ops.relu, ops.relu_backward))
        code, out, err = run(capsys, "torch")
        assert (code, err) == (0, "")
        assert out.startswith("Library 3.1\n\noperation")
        assert [line.split()[0] for line in out.splitlines()[4:]] == ["relu"]

    def test_a_wrong_one_with_documents(self, capsys, library, tmp_path):
        library(relu=(lambda x: -x, None), sigmoid=(inexact, None), glu=(ops.glu, ops.glu_backward))
        arguments = "torch", "relu", "sigmoid", "glu", "--html", tmp_path / "h.html", "--junit", tmp_path / "j.xml"
        code, out, _ = run(capsys, *arguments)
        assert code == 1
        assert max(len(line) for line in out.splitlines() if "engines.rerun" not in line) <= 80
        assert "engines.rerun('torch', 'relu', " in out
        assert "sigmoid, contiguous, float32: " in out
        suites = ET.parse(tmp_path / "j.xml").getroot()
        assert [suite.get("name") for suite in suites] == [
            f"{n}, contiguous float32" for n in ("relu", "sigmoid", "glu")
        ]
        page = (tmp_path / "h.html").read_text("utf-8")
        assert "print(engines.rerun(&#x27;torch&#x27;, &#x27;relu&#x27;, " in page
        code, out, _ = run(capsys, *arguments[:4], "--json")
        document = json.loads(out)
        assert (code, document["engine"]) == (1, "Library 3.1")
        assert {part["operation"]: part["ok"] for part in document["parts"]} == {
            "relu": False,
            "sigmoid": False,
            "glu": True,
        }
        assert document["parts"][1]["arithmetic"]

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["torch", "conv9"], 2, "'conv9' is no operation; they are conv2d, "),
            (["torch", "--profile", "tf32"], 2, "a library is asked in all its dtypes"),
        ],
    )
    def test_wrong_usage(self, capsys, library, arguments, code, message):
        library()
        got, out, err = run(capsys, *arguments)
        assert (got, out) == (code, "")
        assert message in err

    def test_one_that_is_not_installed(self, capsys, library):
        library(missing=ModuleNotFoundError("No module named 'jax'"))
        code, _, err = run(capsys, "jax")
        assert code == 3
        assert err == "unet-ref judge: No module named 'jax'; pip install 'unet-ref[engines]' brings the engines\n"

    def test_one_without_a_device(self, capsys, library):
        library(missing=ImportError("cupy: no device"))
        assert run(capsys, "cupy") == (3, "", "unet-ref judge: cupy: no device\n")


# --- the console ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", r"\xd7 \ud800"), ("utf-8", r"× \ud800"), (None, r"× \ud800")]
)
def test_letters_that_a_terminal_does_not_have(monkeypatch, encoding, expected):
    written = []
    terminal = SimpleNamespace(encoding=encoding, write=written.append, flush=lambda: None)
    monkeypatch.setattr(sys, "stdout", terminal)
    console.show("× \ud800")
    assert "".join(written) == f"{expected}\n"


def test_colours_take_no_room(monkeypatch):
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: True))
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [["conv2d", console.paint("12", "red"), "x"], ["a", "7", console.paint("right", "green")]]
    coloured = console.table(("name", "wrong", ""), rows, right=(1,))
    plain = [[console.COLOUR.sub("", text) for text in row] for row in rows]
    assert "\033[31m12\033[0m" in coloured
    assert console.COLOUR.sub("", coloured) == console.table(("name", "wrong", ""), plain, right=(1,))
    assert coloured.splitlines()[3] == "a           7  \033[32mright\033[0m"


def test_the_table_of_a_library_fits_a_terminal(capsys, library, monkeypatch):
    functions = {
        name: (lambda *args, **options: None, None) for name in ("batch_norm_running_stats", "upsample_bilinear2d")
    }
    library(**functions)
    monkeypatch.setattr(Library, "DTYPES", ("float32", "bfloat16"))
    monkeypatch.setattr(Library, "LAYOUTS", ("channels last",))
    _, out, _ = run(capsys, "torch")
    table = out.split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= 80
    assert [line.split()[:2] for line in table[-2:]] == [["upsample_bilinea", "chan."]] * 2
