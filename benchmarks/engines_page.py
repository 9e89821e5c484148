"""Writes docs/engines.md: what the judge says of PyTorch, JAX, ONNX Runtime and onnx.reference as installed here.

python benchmarks/engines_page.py [docs/engines.md]
"""

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
`-` refused: an option or dtype that the engine does not have. Measured on one x86-64 CPU.

What was looked into, and is so:

* **PyTorch** 2.13. `group_norm` of channels-last images takes the variance in one pass: far from 0 digits are lost that
  the contiguous path keeps: `engines.rerun('torch', 'group_norm', 'mean 1,000, spread 4', 'float32', 'channels last')`.
  With a bias but no weight its backward pass raises "tensor does not have a device". In bfloat16 the norms store mean
  and reciprocal root in 16 bits between statistics and result (`batch_norm`) or for the backward pass (`group_norm`):
  1,000 is then known to 4, and with a spread of 4 nothing can be said of a gradient (`V`). So it is with the gradient
  of a float16 weight over 65,537 samples, which is summed in float16 (286 for 47). In both half types the gradients of
  pools, sigmoid, GLU and the losses are summed or multiplied in that type.
* **ONNX Runtime** 1.32. `GroupNormalization` takes the variance in one pass (NaN at a mean of 1e4). `Sigmoid` is right to
  about 3e-8, absolutely, in float64 to 1e-16: far below 0, where it is small, few of its digits are right, and -100 gives
  0 in float64 too. `Gelu` in float64 has its constants in float32.
* **onnx.reference** 1.23.2. `ConvTranspose` with groups mixes them up or raises, with output padding and dilation it raises.
  `AveragePool` with `ceil_mode` and without counted padding divides wrongly. `Pad` has no negative pads. `Resize` by
  nearest neighbours multiplies by zeros, so that infinity becomes NaN in other pixels. `GroupNormalization` takes the
  variance in one pass. `Gelu` in float64 has its constants in float32.
* **JAX** 0.10.2, compiled by `jax.jit`. `lax.conv_transpose` of an image `(3, 1, 3, 1)` with a kernel `(1, 1, 2, 2)`, strides
  `(2, 2)`, padding `[(0, 0), (3, 2)]` and `rhs_dilation=(1, 3)` ends the process: "Window dimensions do not match RHS shape"
  in the compiler, with or without `jit`. Max pooling by `lax.reduce_window`: with NaN in a window its gradient goes to another
  pixel than the NaN, and a window of minus infinities gives it to the padding, where it is lost. `jax.nn.standardize`
  takes the variance in one pass. On CPUs subnormal numbers are taken as zero: `relu` of 6e-45 is 0, and so is its slope.
  Nearest neighbours go by pixel centres in `jax.image.resize`: only whole factors are
  asked for.
* ONNX does not say what `MaxPool` makes of NaN, and its `epsilon` is a float32: such cases are refused, not judged.

False alarms: `python benchmarks/false_alarms.py` judges calls that Hypothesis draws (`unet_ref.check.strategies`): every
size, option, seed and kind of number is its choice, of normal numbers, of small whole ones, often equal or zero, and of any
that float32 holds up to 8, subnormal ones too, times 1, 1/64 or 50, with such upstream gradients, forward and backward.
Nothing that is right was called a bug:

| engine | judged cases | exact or within rounding | looser arithmetic | vacuous | bug | conduct |
|---|---|---|---|---|---|---|
| PyTorch 2.13.0, float32 and float64 | 5,000 | 4,958 | 0 | 0 | 0 | 42: the norm with a bias alone, above |
| ONNX Runtime 1.32.0, float32 and float64 | 3,500 | 3,270 | 230: `Sigmoid`, `Gelu`, above | 0 | 0 | 0 |
| JAX 0.10.2, float32 and float64 | 1,500 | 1,497 | 3: variance in one pass; subnormal numbers | 0 | 0 | 0 |
| unet_ref, float16, float32, float64, longdouble, complex64, complex128 | 10,000 | 10,000 | 0 | 0 | 0 | 0 |

A longdouble of unet_ref is held against the definition, read over mpmath's numbers in 40 digits; complex numbers on the
real axis must have the real results and nothing beside the axis.
"""
LETTERS = {"exact": "E", "within rounding": "R", "looser arithmetic": "L", "vacuous": "V", "bug": "**B**",
           "conduct": "**C**", "skipped": "-"}  # fmt: skip


def cell(report):
    counts = Counter(result.outcome for result in report.results)
    return " ".join(f"{counts[outcome]}{letter}" for outcome, letter in LETTERS.items() if counts[outcome])


def worth_a_word(part, report):
    """The half types often sum in themselves: the table says so, and a word is only due where that does not explain it."""
    return "16" not in part.dtype or any(result.outcome in ("bug", "conduct") for result in report.failures)


def section(version, found):
    columns = list(dict.fromkeys((part.dtype, part.layout) for part, _ in found))
    lines = [f"\n## {version}\n", "| operation | " + " | ".join(d if y == "contiguous" else f"{d}, {y}" for d, y in columns) + " |",
             "|---|" + "---|" * len(columns)]  # fmt: skip
    for operation in dict.fromkeys(part.operation for part, _ in found):
        cells = {(p.dtype, p.layout): cell(r) for p, r in found if p.operation == operation}
        lines.append(f"| `{operation}` | " + " | ".join(cells.get(column, "") for column in columns) + " |")
    wrong = [(part, report) for part, report in found if report.judged and not report.ok and worth_a_word(part, report)]
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
    """Sections of engines that are not asked for, or not there, stay as they are."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "engines.md")
    old = target.read_text("utf-8").split("\n## ")[1:] if target.exists() else []
    sections = {text.split()[0]: f"\n## {text.rstrip()}" for text in old}
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
        sections[version.split()[0]] = section(version, found)
    target.write_text(HEAD + "\n".join(sections.values()) + "\n", "utf-8")


if __name__ == "__main__":
    main()
