"""Which designed case sees which mistake, as a page and as tables:

    python benchmarks/kill_table.py          # half a minute; writes docs/kills.md and docs/kills.csv

What others see of the same mistakes is read from ``docs/rivals.csv``, which ``benchmarks/rivals.py`` writes.
"""

from __future__ import annotations

import csv
import functools
from pathlib import Path

from unet_ref import ops
from unet_ref.check.table import OPERATIONS
from unet_ref.judge import designed_cases, judge_case
from unet_ref.judge.bank import BANK
from unet_ref.judge.bank.conduct import HABITS
from unet_ref.judge.bank.shipped import NOT_OURS, SHIPPED
from unet_ref.judge.kills import kills, seen

DOCS = Path(__file__).parents[1] / "docs"
RIVALS = {"onnx": "ONNX", "gradcheck": "gradcheck", "fast": "fast", "jax": "JAX"}
NAMED = 3  # cases that a row names
ENTRIES = {entry.name: entry for entry in BANK}

table = functools.cache(kills)

HEAD = """\
# Which designed case sees which mistake

Every mistake of the [bank](mistakes.md) is planted in every operation that it may occur in, the operation is computed with
it in every designed case in float32, and the judge has its say. A case *sees* a mistake if it finds the result wrong.
{planted} mistakes in {operations} operations, {cases} cases: {survivors}, and every case sees {least} mistakes or more. The whole matrix is
[kills.csv](kills.csv), a block of rows for each operation.

This page is made by `python benchmarks/kill_table.py`; a test compares it with the code.
"""

BESIDE = """\
## Beside what others see

The same mistakes, handed to the node cases that ONNX ships, to `torch.autograd.gradcheck` (slow: the default; and fast) and
to `jax.test_util.check_grads`, by `python benchmarks/rivals.py`, which tells the settings: planted forward and backward
passes in float64 at two or three small square calls for each operation, the kind that people write; ONNX's comparison is its
own (rtol 1e-3, atol 1e-7). A dash: it has nothing for this operation. What each can see at all: ONNX's cases have no backward
pass, and a checker of gradients sees only a backward pass that is not that of its own forward pass. With {versions}.
"""


def first_of(labels):
    """The first few cases."""
    return ", ".join(f"`{label}`" for label in labels[:NAMED])


def row(*cells):
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def head(*titles):
    return [row(*titles), row(*("---" if k == 0 else "---:" for k in range(len(titles))))]


@functools.cache
def rivals():
    """Who sees what, by operation and mistake; and the versions."""
    with (DOCS / "rivals.csv").open(encoding="utf-8") as file:
        first, *lines = file.read().splitlines()
    return {(each["operation"], each["mistake"]): each for each in csv.DictReader(lines)}, first.removeprefix("# ")


def of_rivals(keys):
    """How many of some mistakes each of them sees; a dash where it can be asked about none."""
    found, _ = rivals()
    answers = {who: [found[key][who] for key in keys if found[key][who] != ""] for who in RIVALS}
    return [sum(map(int, given)) if given else "–" for given in answers.values()]


def beside():
    """The judge and the others: how many of an operation's mistakes."""
    keys = [(name, mistake) for name in OPERATIONS for mistake in table(name).mistakes]
    ours = {(name, each) for name in OPERATIONS for each in table(name).mistakes if table(name).by(each)}
    lines = [BESIDE.format(versions=rivals()[1]), *head("operation", "mistakes", "the judge", *RIVALS.values())]

    def counted(title, some):
        return row(title, len(some), len(ours & set(some)), *of_rivals(some))

    lines += [counted(f"`{name}`", [key for key in keys if key[0] == name]) for name in OPERATIONS]
    forward = [key for key in keys if "output" in ENTRIES[key[1]].affects]
    lines += [counted("all", keys), counted("of these in the output", forward),
              counted("of these in gradients alone", [key for key in keys if key not in forward])]  # fmt: skip
    share = [f"{100 * (n if n != '–' else 0) / len(keys):.0f} %" for n in (len(ours), *of_rivals(keys))]
    return [*lines, row("share of all", "", *share), ""]


def behaviour():
    """Mistakes that numbers do not show: in how many operations some case sees them."""
    lines = [
        "## Conduct\n",
        "What a function does to its arguments and from call to call ([named mistakes](mistakes.md#conduct)): the number of operations",
        "whose forward and backward pass is found out, of the 22 and 21 that there are; a result that lies in the input's memory has",
        "to have the input's shape.\n",
        *head("mistake", "forward", "backward"),
    ]
    for habit in HABITS:
        counts = [0, 0]
        for name in OPERATIONS:
            functions = (getattr(ops, name), getattr(ops, f"{name}_backward", None))
            for k, function in enumerate(functions):
                if function is not None:
                    with_it = [habit.given(f) if f is function else f for f in functions]
                    counts[k] += any(not judge_case(case, *with_it).ok for case in designed_cases(name)[:8])
        lines.append(row(habit.name, *counts))
    return [*lines, ""]


def shipped():
    """The bugs of the catalogue, as they shipped."""
    lines = [
        "## Bugs that shipped\n",
        "As they were reported: only where they show, in the tensors that they spoil, in the arithmetic they shipped in.\n",
        "| reported in | operation | mistake | only where | cases | the first of them |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    for bug in SHIPPED:
        labels = [
            case.label for case in designed_cases(bug.operation, bug.profile) if seen(case, [bug], bug.profile)[0]
        ]
        where = bug.where.words + (f", {bug.profile}" if bug.profile != "float32" else "")
        tensors = f" (in {', '.join(bug.tensors)})" if bug.tensors else ""
        issues = bug.issues.replace(" ", ", ") if "#" in bug.issues else bug.issues
        lines.append(row(issues, f"`{bug.operation}`", bug.mistake + tensors, where, len(labels), first_of(labels)))
    lines += ["", "Reported, and no bug that an operation of the contract can have:", ""]
    return [*lines, *(f"* {issues.replace(' ', ', ')}: {why}." for issues, why in NOT_OURS.items()), ""]


def section(name):
    """One operation: its mistakes, and its cases."""
    found, others = table(name), rivals()[0]
    lines = [f"## {name}\n"]
    lines += [row("mistake", "cases", "the first of them", *RIVALS.values()),
              row("---", "---:", "---", *(":---:" for _ in RIVALS))]  # fmt: skip
    for mistake in found.mistakes:
        labels = found.by(mistake)
        answers = [
            "–" if (each := others[name, mistake][who]) == "" else "yes" if each == "1" else "" for who in RIVALS
        ]
        lines.append(row(mistake, len(labels), first_of(labels), *answers))
    lines += ["", row("case", "sees", "it alone"), row("---", "---:", "---")]
    lines += [row(case, len(found.of(case)), "; ".join(found.alone(case))) for case in found.cases]
    return [*lines, ""]


def page():
    """All of it, as Markdown."""
    tables = [table(name) for name in OPERATIONS]
    left = [f"{each} in `{t.name}`" for t in tables for each in t.survivors]
    facts = {
        "planted": sum(len(t.mistakes) for t in tables), "operations": len(tables), "cases": sum(len(t.cases) for t in tables),
        "survivors": "all are seen" if not left else f"not seen are {', '.join(left)}",
        "least": min(t.killed.sum(axis=0).min() for t in tables),
    }  # fmt: skip
    lines = [HEAD.format(**facts), *beside(), *behaviour(), *shipped()]
    return "\n".join([*lines, *(line for name in OPERATIONS for line in section(name))]).rstrip() + "\n"


def block(name):
    """One operation's matrix: mistakes by cases."""
    found = table(name)
    rows = zip(found.mistakes, found.killed.astype(int).tolist(), strict=True)
    return [[name, *found.cases], *([mistake, *marks] for mistake, marks in rows)]


def main():
    (DOCS / "kills.md").write_text(page(), encoding="utf-8")
    with (DOCS / "kills.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(line for name in OPERATIONS for line in [*block(name), []])


if __name__ == "__main__":
    main()
