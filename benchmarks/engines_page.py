"""Writes docs/engines.md: what the judge says of PyTorch, JAX, ONNX Runtime and onnx.reference as installed here.

python benchmarks/engines_page.py [docs/engines.md]
"""

import platform
import sys
from collections import Counter
from pathlib import Path

from unet_ref.cli.judge_engine import in_words
from unet_ref.judge import engines

HEAD = """# What the judge says of known engines

Written by `python benchmarks/engines_page.py`; `unet-ref judge ENGINE` prints the same for what is installed where you are.
All designed cases of each operation, forward and (PyTorch, JAX) autograd's backward, twice each.
`E` exact, `R` within rounding, `L` right in a looser arithmetic than its dtype's, `V` vacuous, **B** further off than any
arithmetic that the judge knows, **C** wrong in conduct (it raises, gives other bits in a second call, ...),
`-` refused: an option or dtype that the engine does not have.
"""
LETTERS = {"exact": "E", "within rounding": "R", "looser arithmetic": "L", "vacuous": "V", "bug": "**B**",
           "conduct": "**C**", "skipped": "-"}  # fmt: skip


def cell(report):
    counts = Counter(result.outcome for result in report.results)
    return " ".join(f"{counts[outcome]}{letter}" for outcome, letter in LETTERS.items() if counts[outcome])


def section(version, found):
    columns = list(dict.fromkeys((part.dtype, part.layout) for part, _ in found))
    lines = [f"\n## {version}\n", "| operation | " + " | ".join(d if y == "contiguous" else f"{d}, {y}" for d, y in columns) + " |",
             "|---|" + "---|" * len(columns)]  # fmt: skip
    for operation in dict.fromkeys(part.operation for part, _ in found):
        cells = {(p.dtype, p.layout): cell(r) for p, r in found if p.operation == operation}
        lines.append(f"| `{operation}` | " + " | ".join(cells.get(column, "") for column in columns) + " |")
    wrong = [(part, report) for part, report in found if report.judged and not report.ok]
    if wrong:
        lines.append("\nNot right in the arithmetic of the dtype, with a reproducer each "
                     "(`from unet_ref.judge import engines`, then `print(...)`):\n")  # fmt: skip
    for part, report in wrong:
        worst = max(report.failures, key=lambda r: list(LETTERS).index(r.outcome))
        where = part.dtype if part.layout == "contiguous" else f"{part.dtype}, {part.layout}"
        lines.append(f"* `{part.operation}`, {where}: {in_words(report)}. `{part.reproducer(worst.case.label)}`")
        lines += [f"  {problem}" for problem in worst.problems[:1]]
        for finding in worst.verdict.findings[:1] if worst.verdict is not None and not worst.problems else ():
            lines.append("  " + " ".join([finding.tensor + ":", *finding.lines()][:2]))
    return "\n".join(lines)


def main():
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "engines.md")
    text = (
        HEAD + f"\nMeasured with Python {platform.python_version()} on {platform.system()} {platform.machine()}, CPU.\n"
    )
    for name in sys.argv[2:] or engines.ENGINES:
        try:
            version = engines.module(name).version()
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        found = []
        for part, report in engines.run(engines.parts_of(name)):
            print(part, report.headline, file=sys.stderr, flush=True)
            found.append((part, report))
        text += section(version, found) + "\n"
        target.write_text(text + NOTES, "utf-8")


NOTES = ""

if __name__ == "__main__":
    main()
