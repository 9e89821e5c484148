"""``unet-ref explain NAME``: what a learner wants to know, from the docstrings, the table and the bank of mistakes."""

from __future__ import annotations

import argparse
import collections
import inspect
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..check import OPERATIONS
from ..judge.bank import BY_FAMILY, applying
from ..models import MODELS
from ..models.plan import plan
from .console import HOLDS, human
from .docstring import docstring, plain
from .names import check_names
from .network import INPUTS

ROOT = Path(__file__).parents[2]
WIDTH = 80
GENERAL = "Any operation"  # the family of the bank


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("name", metavar="NAME", help=f"{', '.join((*OPERATIONS, *MODELS))}")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Print what is known."""
    check_names([arguments.name])
    document = network(arguments.name) if arguments.name in MODELS else operation(arguments.name)
    print(json.dumps(document, indent=2) if arguments.json else "\n".join(lines(document)))
    return HOLDS


def operation(name: str) -> dict[str, Any]:
    """Formula, shape law, gradient, conventions, where all of it stands, and what goes wrong."""
    row = OPERATIONS[name]
    about = docstring(row.forward)
    back = docstring(row.backward) if row.backward else None
    files = {
        "definition": _place(row.definition), "on arrays": _place(row.forward), "page": f"docs/ops/{name}.md",
        "tests": f"tests/ops/test_{name}.py",
    }  # fmt: skip
    mistakes = [
        {"name": each.name, "explanation": each.explanation, "mend": each.mend, "seen": list(each.seen),
         "any operation": each in BY_FAMILY[GENERAL]}
        for each in applying(name)
    ]  # fmt: skip
    return {
        "name": name, "summary": about.summary, "call": _call(f"ops.{name}", row.forward), "formula": about.formula,
        "shape law": about.shape_law, "arguments": about.arguments, "raises": about.raises,
        "backward": [back.summary, *back.formula] if back else ["There is no gradient."],
        "backward call": _call(f"ops.{name}_backward", row.backward) if row.backward else "",
        "gradients": list(row.gradients), "conventions": about.conventions, "source": about.source,
        "example": f">>> from unet_ref.ops import {name}\n{about.example}", "where": files, "mistakes": mistakes,
    }  # fmt: skip


def network(name: str) -> dict[str, Any]:
    """What it is made of, its shapes and costs, and where its two passes stand."""
    kind, shape = MODELS[name], INPUTS[name]
    model = kind()
    planned = plan(model, shape)
    steps = collections.Counter(step.op for step in planned.steps)
    passes = {f"{way} pass": _place(getattr(kind, f"_{way}")) for way in ("forward", "backward")}
    shapes = dict(zip(model.inputs, model.input_shapes(shape), strict=True))
    return {
        "name": name,
        "summary": plain(inspect.getdoc(kind) or ""),
        "call": f"models.{_call(kind.__name__, kind)}",
        "shapes": {key: list(sizes) for key, sizes in shapes.items()} | {"output": list(planned.output_shape)},
        "multiple": model.multiple,
        "parameters": planned.parameters,
        "multiply_adds": planned.multiply_adds,
        "steps": {op: count for op, count in steps.most_common() if op in OPERATIONS},
        "where": passes | {"page": f"docs/models/{name}.md", "corrections": "docs/seed-corrections.md"},
    }


def lines(document: dict[str, Any]) -> Iterator[str]:
    """The document for a person, in 80 columns."""
    yield from _wrapped(f"{document['name']}: {document['summary']}")
    yield from _section("Call", [document["call"]])
    yield from (_of_network if document["name"] in MODELS else _of_operation)(document)


def _of_operation(document: dict[str, Any]) -> Iterator[str]:
    yield from _section("Formula", document["formula"])
    yield from _section("Shape law", [document["shape law"]])
    yield from _section("Arguments", _pairs(document["arguments"]))
    backward = [document["backward call"]] if document["backward call"] else []
    yield from _section("Backward", [*document["backward"], *backward])
    yield from _section("Conventions", [document["conventions"]])
    yield from ("", "Example", *_code(document["example"]))
    yield from _section("Raises", _pairs(document["raises"]))
    yield from _section("Source", [document["source"]])
    yield from _section("Where", _pairs(document["where"]))
    own = [each for each in document["mistakes"] if not each["any operation"]]
    yield from _section("Common mistakes, and how to mend them", (f"{each['name']}: {each['mend']}" for each in own))
    shared = ", ".join(each["name"] for each in document["mistakes"] if each["any operation"])
    yield from _section("And in any operation (docs/mistakes.md)", [shared])


def _of_network(document: dict[str, Any]) -> Iterator[str]:
    yield from _section("Shapes", _pairs({key: "x".join(map(str, shape)) for key, shape in document["shapes"].items()}))
    if document["multiple"]:
        yield from _wrapped(f"Height and width must be multiples of {document['multiple']}.", "  ")
    cost = f"{human(document['parameters'])} parameters, {human(document['multiply_adds'])} multiply-adds going forward"
    yield from _section("Cost", [cost])
    yield from _section("Made of", (f"{count} {op}" for op, count in document["steps"].items()))
    yield from _wrapped("unet-ref explain NAME says what each of them does.", "  ")
    yield from _section("Where", _pairs(document["where"]))
    name = document["name"]
    yield from _section("Look closer", [f"unet-ref trace {name}", f"unet-ref verify {name}", f"unet-ref bench {name}"])


def _section(title: str, entries: Iterable[str]) -> Iterator[str]:
    yield from ("", title)
    for entry in entries:
        yield from _wrapped(entry, "  ")


def _code(example: str) -> Iterator[str]:
    """Long lines go on after ``...``, where they can still be pasted."""
    for line in example.splitlines():
        if line.startswith(">>>"):
            yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="  ...     ")
        else:
            yield f"  {line}"


def _pairs(entries: dict[str, str]) -> Iterator[str]:
    return (f"{name}: {text}" for name, text in entries.items())


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)


def _call(name: str, function: Callable[..., Any]) -> str:
    """The signature without types."""
    signature = inspect.signature(function)
    bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    return name + str(signature.replace(parameters=bare, return_annotation=signature.empty))


def _place(function: Callable[..., Any]) -> str:
    """File and line, as they lie in a checkout."""
    inner = inspect.unwrap(function)
    file = Path(inspect.getsourcefile(inner) or "").relative_to(ROOT)
    return f"{file.as_posix()}:{inspect.getsourcelines(inner)[1]}"
