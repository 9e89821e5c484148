"""How often the diagnosis names the mistake: every entry of the bank, in every operation it can occur in, planted alone;
and random pairs.

    python benchmarks/diagnosis.py                        # about five minutes on two cores
    python benchmarks/diagnosis.py --dtype float64 --geometries 1 --pairs 2 conv2d max_pool2d

The arguments are random (the table's draws; with ties, NaN, far or large values, other memory where the mistake shows only
there). The wrong result is computed in ``--dtype``; the diagnosis knows only that, and tries the bank in float64.

``first``: the planted mistake is among those of rank 1. ``alone``: no other mistake of the bank has that rank (mistakes that
do the same at these arguments share it). ``on top``: it stands first of these.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np

from unet_ref.check.table import OPERATIONS
from unet_ref.judge.bank import BANK, applying
from unet_ref.judge.diagnose import diagnose
from unet_ref.judge.plant import plant, plant_pair

ATTEMPTS = 40  # at a pair that shows


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
    seconds = time.perf_counter() - start
    want = {each.name for each in planted.mistakes}
    best = [{m.name for m in each.mistakes} for each in found if each.rank == 1]
    if verbose and want not in best:
        names = " / ".join(each.name for each in found[:3])
        print(
            f"  {planted.arguments.name}: {' + '.join(sorted(want))}: taken for {names or 'nothing'}", file=sys.stderr
        )
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operations", nargs="*", default=list(OPERATIONS), metavar="OPERATION")
    parser.add_argument("--geometries", type=int, default=3, help="random arguments for each mistake (3)")
    parser.add_argument("--pairs", type=int, default=10, help="random pairs for each operation (10)")
    parser.add_argument("--dtype", default="float32", help="in which the mistakes are computed (float32)")
    parser.add_argument("--verbose", action="store_true", help="what was taken for what, on stderr")
    options = parser.parse_args()
    heading = f"{'':34} {'tried':>6} {'first':>8} {'on top':>8} {'alone':>8} {'mean':>10} {'longest':>10}"
    for title, count, number in (("one mistake", singles, options.geometries), ("two mistakes", pairs, options.pairs)):
        total = Count()
        print(f"{title}\n{heading}")
        for name in options.operations:
            found = count(name, number, options.dtype, options.verbose)
            print(f"{name:34} {found}", flush=True)
            total += found
        print(f"{'all':34} {total}\n")


if __name__ == "__main__":
    main()
