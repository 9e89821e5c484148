"""The docstrings of operations, taken apart: they all say the same things in the same order."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

SECTIONS = {"Shape law": "shape_law", "Conventions": "conventions", "Source": "source"}
ENTRY = re.compile(r"^ {4}(?=\S)", re.MULTILINE)
FORMULA = re.compile(r"(?<=[.,;:])\n(?=``)")  # where a formula begins a line, and a sentence or a part of one


class Docstring(NamedTuple):
    """``formula``: the paragraphs before the shape law; ``example``: what comes after ``>>>``."""

    summary: str
    formula: list[str]
    shape_law: str
    arguments: dict[str, str]
    raises: dict[str, str]
    conventions: str
    source: str
    example: str


def docstring(function: Callable[..., Any]) -> Docstring:
    """The parts of one; those that it does not have are empty."""
    text, _, example = (inspect.getdoc(function) or "").partition("\n>>> ")
    summary, *paragraphs = [part for part in text.split("\n\n") if part.strip()]
    found: dict[str, Any] = {"formula": [], "arguments": {}, "raises": {}}
    found |= dict.fromkeys(SECTIONS.values(), "")
    for paragraph in paragraphs:
        title, _, rest = paragraph.strip().partition(":")
        if title in SECTIONS:
            found[SECTIONS[title]] = plain(rest)
        elif title == "Arguments":
            found["arguments"] = _entries(rest)
        elif paragraph.lstrip().startswith("Raises\n"):
            found["raises"] = _entries(paragraph.partition("------")[2])
        else:
            found["formula"] += map(plain, FORMULA.split(paragraph))
    return Docstring(plain(summary), example=f">>> {example}" if example else "", **found)


def plain(text: str) -> str:
    """One line, without the marks of code."""
    return " ".join(text.replace("``", "").split())


def _entries(text: str) -> dict[str, str]:
    """``name: what it is``, each on lines of its own, indented by four."""
    pairs = (plain(entry).partition(": ") for entry in ENTRY.split(text) if entry.strip())
    return {name: rest for name, _, rest in pairs}
