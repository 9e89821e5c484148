"""``unet-ref explain``: all that the docstrings and the bank say, in 80 columns; and nothing for what is not there."""

import doctest
import json
import re
from pathlib import Path

import pytest

from unet_ref import models
from unet_ref.check import OPERATIONS
from unet_ref.cli import main
from unet_ref.cli.docstring import docstring, plain
from unet_ref.judge.bank import BANK
from unet_ref.models import MODELS

ROOT = Path(__file__).parents[2]


def run(capsys, *arguments):
    code = main(["explain", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def sections(text):
    """Title -> lines."""
    return {block.splitlines()[0]: block.splitlines()[1:] for block in text.split("\n\n")[1:]}


def words(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_everything_that_the_docstrings_say(name, capsys):
    code, out, err = run(capsys, name)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    row = OPERATIONS[name]
    for function in filter(None, (row.forward, row.backward)):
        text = function.__doc__.split(">>>")[0].replace("Raises\n    ------", "")
        for paragraph in text.split("\n\n"):
            said = re.sub(r"^\s*(Shape law|Arguments|Raises|Conventions|Source):?", "", paragraph)
            if function is row.backward and "Raises" in paragraph:
                continue
            for line in filter(None, map(words, said.splitlines())):
                assert line in words(out), line


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_part_has_something(name, capsys):
    _, out, _ = run(capsys, name, "--json")
    document = json.loads(out)
    always = ["summary", "call", "shape law", "arguments", "raises", "backward", "conventions", "source", "example",
              "where", "mistakes"]  # fmt: skip
    assert [key for key in always if not document[key]] == []
    assert document["formula"] or "y = " in document["summary"] or "y[" in document["summary"]
    assert document["gradients"] == list(OPERATIONS[name].gradients)
    for key in ("definition", "on arrays"):
        file, line = document["where"][key].split(":")
        assert re.search(rf"^(def {name}\(|@)", (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1])
    assert (ROOT / document["where"]["page"]).is_file()
    assert (ROOT / document["where"]["tests"]).is_file()


def test_mistakes_are_those_of_the_bank_with_their_mends(capsys):
    _, out, _ = run(capsys, "conv2d")
    _, document, _ = run(capsys, "conv2d", "--json")
    mistakes = json.loads(document)["mistakes"]
    expected = [each for each in BANK if "conv2d" in each.operations]
    assert [(each["name"], each["mend"], each["explanation"]) for each in mistakes] == [
        (each.name, each.mend, each.explanation) for each in expected
    ]
    for each in mistakes:
        assert words(each["name"]) in words(out)
        assert each["any operation"] != (words(each["name"] + each["mend"]) in words(out))
    assert words("Do not reverse the kernel") in words(out)
    assert {"kernel flipped", "gradient off by a factor"} <= {each["name"] for each in mistakes}
    flipped = next(each for each in mistakes if each["name"] == "kernel flipped")
    assert flipped["seen"] == ["mlx#1826", "mlx#1449"]


def test_what_has_no_gradient_says_so(capsys):
    _, out, _ = run(capsys, "batch_norm_running_stats")
    assert sections(out)["Backward"][:1] == ["  There is no gradient."]
    assert "_backward" not in out


def test_the_gradients_stand_one_below_the_other(capsys):
    _, out, _ = run(capsys, "conv2d")
    lines = sections(out)["Backward"]
    assert [line for line in lines if line.startswith(("  dx:", "  dweight[", "  dbias["))] == [
        "  dx: every output pixel gives its gradient back to the pixels it was made of,",
        "  dweight[o,c,k,l]: every product that the weight took part in, dy[n,o,i,j] *",
        "  dbias[o]: the sum of dy over n, i, j.",
    ]
    assert "  ops.conv2d_backward(grad_output, x, weight, bias=None, *, stride=1, padding=0," in lines


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_the_example_can_be_pasted(name, capsys):
    """Broken lines go on after three dots, as doctest wants them."""
    _, out, _ = run(capsys, name)
    test = doctest.DocTestParser().get_doctest("\n".join(sections(out)["Example"]), {}, name, None, 0)
    assert len(test.examples) > 2
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", list(MODELS))
def test_networks(name, capsys):
    code, out, err = run(capsys, name)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    _, text, _ = run(capsys, name, "--json")
    document = json.loads(text)
    model = MODELS[name]()
    shapes = document["shapes"]
    assert list(shapes) == [*model.inputs, "output"]
    assert model.output_shape(*(shapes[key] for key in model.inputs)) == tuple(shapes["output"])
    parameters = {k: a for k, a in model.init(0).items() if k not in model.buffer_names()}
    assert document["parameters"] == sum(array.size for array in parameters.values())
    convolutions = sum(layer.op == "conv2d" for layer in model.layers.values())
    assert document["steps"]["conv2d"] == convolutions
    assert f"  {convolutions} conv2d" in out.splitlines()
    assert ("must be multiples of" in out) == (model.multiple is not None)
    for way in ("forward", "backward"):
        file, line = document["where"][f"{way} pass"].split(":")
        assert (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip().startswith(f"def _{way}(")
    assert (ROOT / document["where"]["page"]).is_file()
    assert (ROOT / document["where"]["corrections"]).is_file()
    assert document["call"].startswith(f"models.{type(model).__name__}(")
    assert type(model).__name__ in models.__all__


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv2", "'conv2' is no operation or network; did you mean conv2d? Known: conv2d, "),
        ("unetfilm", "did you mean unet_film?"),
        ("zzz", "'zzz' is no operation or network. Known: "),
    ],
)
def test_a_wrong_name(capsys, name, message):
    code, out, err = run(capsys, name)
    assert (code, out) == (2, "")
    assert message in err


class TestDocstring:
    def test_one_of_all_parts(self):
        def function():
            """First ``line``,
            and its end.

            ``y = x``, where
            ``x`` goes on;
            ``z = y`` is another.

            Shape law: ``(N,) ->
            (N,)``.

            Arguments:
                x: what
                    goes in.
                y, z: the same: twice.

            Raises
            ------
                ShapeError: never.

            Conventions: none.

            Source: Euler (1750).

            >>> 1 + 1
            2
            """

        found = docstring(function)
        assert found.summary == "First line, and its end."
        assert found.formula == ["y = x, where x goes on;", "z = y is another."]
        assert found.shape_law == "(N,) -> (N,)."
        assert found.arguments == {"x": "what goes in.", "y, z": "the same: twice."}
        assert found.raises == {"ShapeError": "never."}
        assert (found.conventions, found.source) == ("none.", "Euler (1750).")
        assert found.example == ">>> 1 + 1\n2"

    def test_a_single_line(self):
        def function():
            """All."""

        found = docstring(function)
        assert found == ("All.", [], "", {}, {}, "", "", "")

    def test_products_stay(self):
        assert plain("``a * b``\n   times **c**") == "a * b times **c**"
