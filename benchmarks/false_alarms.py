"""False alarms: drawn cases (not the designed ones) on engines that are right, judged by computed bounds.

    python benchmarks/false_alarms.py [CASES] [ENGINE ...]     10000 cases on torch, onnxruntime and jax by default

Draws are those of the table of operations, with random upstream gradients, rounded to float32 or float64. Printed: for
each engine and dtype how many were judged and refused, and every verdict that is not ok.
"""

import sys
import zlib
from collections import Counter

import numpy as np

from unet_ref.check.table import OPERATIONS
from unet_ref.judge import engines
from unet_ref.judge.cases import DesignedCase
from unet_ref.judge.implementation import judge_case
from unet_ref.judge.mistake import Arguments

SHARE = {"torch": 0.6, "onnxruntime": 0.3, "jax": 0.1}  # JAX compiles every shape


def drawn(operation, dtype, seed):
    """A case of the table, as a case of the judge."""
    rng = np.random.default_rng([zlib.crc32(operation.name.encode()), seed])
    case = operation.draw(rng)
    cast = case.map(lambda array: array.astype(dtype))
    upstream = None
    if operation.backward is not None:
        shape = np.shape(operation.forward(**cast.arrays, **cast.options))
        upstream = np.asarray(rng.standard_normal(shape)).astype(dtype)
    return DesignedCase(f"draw {seed}", Arguments(operation.name, cast.arrays, cast.options, upstream))


def run(engine, count):
    """That many cases, in turn over operations and dtypes; the verdicts that are not ok."""
    library = engines.module(engine)
    names = [name for name in OPERATIONS if library.pair(name, "contiguous", "float32")[0]]
    outcomes, alarms = Counter(), []
    for k in range(count):
        name, dtype = names[k // 2 % len(names)], ("float32", "float64")[k % 2]
        case = drawn(OPERATIONS[name], dtype, k)
        result = judge_case(case, *library.pair(name, "contiguous", dtype), profile=dtype)
        outcomes[dtype, result.outcome] += 1
        if not result.ok:
            alarms.append((name, dtype, k, result))
    return outcomes, alarms


def main():
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    chosen = sys.argv[2:] or list(SHARE)
    for engine in chosen:
        count = round(total * (SHARE[engine] if len(chosen) > 1 else 1))
        outcomes, alarms = run(engine, count)
        print(f"{engines.module(engine).version()}: {count} cases")
        for (dtype, outcome), number in sorted(outcomes.items()):
            print(f"  {dtype:8} {outcome:18} {number}")
        kinds = Counter((name, dtype, result.outcome) for name, dtype, _, result in alarms)
        for (name, dtype, outcome), number in kinds.items():
            first = next(r for n, d, _, r in alarms if (n, d, r.outcome) == (name, dtype, outcome))
            print(f"  {number} x {outcome}: {name}, {dtype}; the first:\n{first}", flush=True)


if __name__ == "__main__":
    main()
