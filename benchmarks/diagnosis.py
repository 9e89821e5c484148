"""How often the diagnosis names the mistake: every entry of the bank, in every operation it can occur in, planted alone;
and random pairs.

    python benchmarks/diagnosis.py                        # about five minutes on two cores
    python benchmarks/diagnosis.py --page                 # writes docs/diagnosis.md
    python benchmarks/diagnosis.py --dtype float64 --geometries 1 --pairs 2 conv2d max_pool2d

The arguments are random (the table's draws; with ties, NaN, far or large values, other memory where the mistake shows only
there). The wrong result is computed in ``--dtype``; the diagnosis knows only that, and tries the bank in float64.

``first``: the planted mistake is among those of rank 1. ``alone``: no other mistake of the bank has that rank (mistakes that
do the same at these arguments share it). ``on top``: it stands first of these.

``judge_implementation``: what the user sees. A candidate with the mistake in it (each in one of its operations) goes through
designed cases, some that see it and some that do not; counted is the diagnosis of the report.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unet_ref.check.table import OPERATIONS
from unet_ref.judge import designed_cases, judge_implementation
from unet_ref.judge.bank import BANK, applying
from unet_ref.judge.diagnose import diagnose
from unet_ref.judge.plant import candidate, plant, plant_pair

ATTEMPTS = 40  # at a pair that shows
CASES = 12  # designed ones, for a report
PAGE = Path(__file__).parents[1] / "docs" / "diagnosis.md"


@dataclass
class Count:
    tried: int = 0
    first: int = 0
    top: int = 0
    alone: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def __iadd__(self, other):
        for name in ("tried", "first", "top", "alone", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest = max(self.longest, other.longest)
        return self

    def __str__(self):
        shares = [f"{100 * n / max(1, self.tried):6.1f} %" for n in (self.first, self.top, self.alone)]
        mean = 1000 * self.seconds / max(1, self.tried)
        return f"{self.tried:6} {' '.join(shares)} {mean:7.0f} ms {1000 * self.longest:7.0f} ms"


def judged(planted, verbose):
    """One diagnosis, counted."""
    start = time.perf_counter()
    found = diagnose(planted.arguments, planted.got)
    return counted(planted.arguments.name, planted.mistakes, found, time.perf_counter() - start, verbose)


def counted(operation, mistakes, found, seconds, verbose):
    """Whether the diagnoses of the first rank hold these mistakes."""
    want = {each.name for each in mistakes}
    best = [{m.name for m in each.mistakes} for each in found if each.rank == 1]
    if verbose and want not in best:
        names = " / ".join(each.name for each in found[:3])
        print(f"  {operation}: {' + '.join(sorted(want))}: taken for {names or 'nothing'}", file=sys.stderr)
    return Count(1, want in best, best[:1] == [want], best == [want], seconds, seconds)


def singles(name, geometries, dtype, verbose):
    """Every mistake that the operation may have."""
    total = Count()
    for mistake in applying(name):
        for k in range(geometries):
            rng = np.random.default_rng([k, BANK.index(mistake), list(OPERATIONS).index(name)])
            planted = plant(mistake, name, rng, dtype)
            if planted is None:
                raise SystemExit(f"{mistake.name} cannot be made to show in {name}")
            total += judged(planted, verbose)
    return total


def pairs(name, number, dtype, verbose):
    """Random pairs at random arguments where both show and neither explains all; no factor that one may choose."""
    known = [each for each in applying(name) if each.fit is None and not each.narrow]
    total, rng = Count(), np.random.default_rng([7, list(OPERATIONS).index(name)])
    for _ in range(number):
        for _ in range(ATTEMPTS):
            one, other = rng.choice(len(known), 2, replace=False)
            planted = plant_pair(known[one], known[other], name, rng, dtype)
            if planted is not None:
                total += judged(planted, verbose)
                break
    return total


def reports(name, dtype, verbose):
    """Every mistake whose turn it is in this operation, as ``judge_implementation`` names it."""
    total = Count()
    for k, mistake in enumerate(BANK):
        if mistake.operations[k % len(mistake.operations)] != name:
            continue
        rng, forward_backward = np.random.default_rng(k), candidate(mistake, name)
        cases = [case for case in designed_cases(name, dtype) if sum(a.size for a in _arrays(case)) < 10_000]
        cases = [cases[j] for j in rng.permutation(len(cases))]
        seeing = next(
            case for case in cases if not judge_implementation(name, *forward_backward, profile=dtype, cases=[case]).ok
        )
        chosen = [seeing, *(case for case in cases if case is not seeing)][:CASES]
        start = time.perf_counter()
        report = judge_implementation(name, *forward_backward, profile=dtype, cases=chosen)
        total += counted(name, [mistake], report.diagnosis or [], time.perf_counter() - start, verbose)
    return total


def _arrays(case):
    values = [*case.arguments.arrays.values(), case.arguments.grad_output]
    return [a for value in values if value is not None for a in (value if isinstance(value, tuple) else (value,))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operations", nargs="*", default=list(OPERATIONS), metavar="OPERATION")
    parser.add_argument("--geometries", type=int, default=3, help="random arguments for each mistake (3)")
    parser.add_argument("--pairs", type=int, default=30, help="random pairs for each operation (30)")
    parser.add_argument("--dtype", default="float32", help="in which the mistakes are computed (float32)")
    parser.add_argument("--verbose", action="store_true", help="what was taken for what, on stderr")
    parser.add_argument("--page", action="store_true", help="write docs/diagnosis.md")
    options = parser.parse_args()
    kinds = {
        "one mistake": lambda name: singles(name, options.geometries, options.dtype, options.verbose),
        "two mistakes": lambda name: pairs(name, options.pairs, options.dtype, options.verbose),
        "judge_implementation": lambda name: reports(name, options.dtype, options.verbose),
    }
    found = {title: table(title, count, options.operations) for title, count in kinds.items()}
    if options.page:
        PAGE.write_text(page(found, options), encoding="utf-8")


def table(title, count, operations):
    """Prints a table while it is measured."""
    heading = f"{'':34} {'tried':>6} {'first':>8} {'on top':>8} {'alone':>8} {'mean':>10} {'longest':>10}"
    print(f"{title}\n{heading}")
    found, total = {}, Count()
    for name in operations:
        found[name] = count(name)
        print(f"{name:34} {found[name]}", flush=True)
        total += found[name]
    print(f"{'all':34} {total}\n", flush=True)
    return found | {"all": total}


HEAD = """\
# How often the diagnosis is right

As measured by `python benchmarks/diagnosis.py --page` ({dtype}; {geometries} random arguments for each mistake in each
operation, {pairs} random pairs an operation). *First*: the planted mistake has rank 1, among mistakes that do the same at these
arguments if there are any. *On top*: it stands first of these. *Alone*: there are none.

"""
EXPLAINED = {
    "one mistake": "Every mistake of the bank, in every operation that it may occur in, planted alone at random arguments at "
    "which it shows.",
    "two mistakes": "Random pairs at random arguments at which both show and neither explains all: both have to be named.",
    "judge_implementation": "What the user sees. A candidate with a mistake in it (each of the bank in one of its operations) goes "
    f"through {CASES} designed cases, one that sees it and {CASES - 1} drawn at random; counted is the diagnosis of the report.",
}


def page(found, options):
    """The tables as Markdown."""
    lines = [HEAD.format(dtype=options.dtype, geometries=options.geometries, pairs=options.pairs)]
    for title, counts in found.items():
        lines += [
            f"## {title.capitalize() if ' ' in title else f'`{title}`'}\n",
            *textwrap.wrap(EXPLAINED[title], 120),
            "",
        ]
        lines += ["| operation | tried | first | on top | alone |", "| --- | ---: | ---: | ---: | ---: |"]
        for name, each in counts.items():
            shares = [f"{100 * n / max(1, each.tried):.1f} %" for n in (each.first, each.top, each.alone)]
            lines.append(f"| {f'`{name}`' if name != 'all' else name} | {each.tried} | {' | '.join(shares)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    main()
