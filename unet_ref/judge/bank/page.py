"""The bank as a page to read: ``python -m unet_ref.judge.bank.page > docs/mistakes.md``."""

from __future__ import annotations

import textwrap

from ..mistake import Mistake
from . import BANK, BY_FAMILY
from .conduct import HABITS, Habit
from .scope import ALL, DIFFERENTIABLE, IMAGES

HEAD = f"""\
# Named mistakes

What people really write when an operation comes out wrong: {len(BANK)} mistakes, each with what it does, how to mend it and,
where it shipped, the issue that tells of it. The judge compares a wrong result with all of them on the same inputs
(`unet_ref.judge.diagnose`), and the tests are tested with them: every one has to be caught. [Which designed case sees which
mistake](kills.md), and what other checkers see of them, is a page of its own, and so is [how often the diagnosis is
right](diagnosis.md).

A mistake in the output usually carries on into the gradients: they are then the gradients of the wrong output. Where only
some tensors are affected, it says so. A gradient may also be computed with a mistake that the output is free of (a kernel
flipped on the way back only): the diagnosis names the tensors where it found it.

This page is made from the code: `python -m unet_ref.judge.bank.page > docs/mistakes.md`.
"""

CONDUCT = """\
## Conduct

Forward and backward passes with the right numbers that misbehave otherwise. `judge_implementation` calls everything twice,
fills the memory that it frees with NaN, and looks at the arguments afterwards.
"""

WHOLE = {ALL: "any operation", DIFFERENTIABLE: "any operation with a gradient", IMAGES: "any operation on images"}


def page() -> str:
    """All of it, as Markdown."""
    parts = [HEAD]
    for title, mistakes in BY_FAMILY.items():
        parts += [f"## {title}\n", *map(_entry, mistakes)]
    return "\n".join([*parts, CONDUCT, *map(_habit, HABITS)])


def _entry(mistake: Mistake) -> str:
    operations = WHOLE.get(mistake.operations) or ", ".join(f"`{name}`" for name in mistake.operations)
    lines = [f"### {mistake.name}\n", *_wrapped(f"{operations}; {_affected(mistake)}"), ""]
    lines += [*_wrapped(_escaped(mistake.explanation)), "", *_wrapped(f"**Mend:** {_escaped(mistake.mend)}"), ""]
    lines += [*_wrapped(f"**Seen in:** {', '.join(mistake.seen)}."), ""] if mistake.seen else []
    return "\n".join(lines)


def _habit(habit: Habit) -> str:
    lines = [f"### {habit.name}\n", *_wrapped(habit.explanation), "", *_wrapped(f"**Mend:** {habit.mend}"), ""]
    lines += [*_wrapped(f"**Seen in:** {', '.join(habit.seen)}."), ""] if habit.seen else []
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Products are no emphasis."""
    return text.replace("*", r"\*")


def _affected(mistake: Mistake) -> str:
    if mistake.affects == {"output", "grads"}:
        return "output and gradients"
    if mistake.affects in ({"output"}, {"grads"}):
        return "output only" if "output" in mistake.affects else "gradients only"
    return f"gradient of {' and '.join(f'`{name}`' for name in sorted(mistake.affects, reverse=True))} only"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 120, break_on_hyphens=False, break_long_words=False)


if __name__ == "__main__":
    print(page(), end="")
