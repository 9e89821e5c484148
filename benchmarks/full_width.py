"""Every network at its seed's full width beside PyTorch: the largest relative error of each kind of tensor, in float64.

    pip install -e '.[test]' torch==2.13.0
    python benchmarks/full_width.py                    # all of them: about half an hour on two cores, 6 GiB
    python benchmarks/full_width.py unet_film unet2    # some

The twins, the random states and the comparison are those of ``tests/models``. Prints a Markdown table; progress goes
to stderr. Exit code 1 where an error reaches 1e-9. ``docs/full-width.md`` holds what it printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from models import torch_twins
from models.twin_cases import Case, build, random_inputs, random_state, relative_errors, run_ours

BOUND = 1e-9
KINDS = ("output", "param", "input", "buffer")
CASES = [
    Case("unet2", {}, ((1, 1, 256, 256),)),
    Case("unet_film", {}, ((2, 17, 256, 256), (2, 6))),
    Case("resnet50", {}, ((2, 3, 224, 224),)),
    Case("resnet_unet", {}, ((1, 1, 512, 512),)),
    Case("context_unet", {"height": 16, "n_feat": 64}, ((4, 3, 16, 16), (4, 1), (4, 10))),
    Case("context_unet", {"height": 16, "n_feat": 256}, ((2, 3, 16, 16), (2, 1), (2, 10))),
    Case("context_unet", {"height": 28, "n_feat": 256}, ((2, 3, 28, 28), (2, 1), None)),
    Case("unet", {}, ((1, 3, 256, 256),)),
    Case("unet", {"in_channels": 1, "padding": 0}, ((1, 1, 572, 572),)),
]


def main() -> int:
    """Compare, print, and say whether all of it is within the bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="default: all six")
    wanted = parser.parse_args().networks
    print("| network | input | mode | tensors | output | parameters | inputs | running statistics |")
    print("|---|---|---|---:|---:|---:|---:|---:|", flush=True)
    worst = 0.0
    for case in CASES:
        for training in (True, False):
            if not wanted or case.name in wanted:
                errors = compare(case, training=training)
                worst = max(worst, *errors.values())
                print(row(case, errors, training=training), flush=True)
    return int(not worst < BOUND)


def compare(case: Case, *, training: bool) -> dict[str, float]:
    """The relative error of every tensor."""
    rng = np.random.default_rng(2026)
    model = build(case)
    state, inputs = random_state(model, rng), random_inputs(model, case, rng)
    grad_output = rng.standard_normal(model.output_shape(*case.shapes))
    start = time.perf_counter()
    ours = run_ours(model, state, inputs, grad_output, training=training, release=True)
    halfway = time.perf_counter()
    twin = torch_twins.build(case.name, case.options)
    theirs = torch_twins.run(twin, state, inputs, grad_output, training=training)
    seconds = halfway - start, time.perf_counter() - halfway
    print(f"{case} ours {seconds[0]:.0f} s, PyTorch {seconds[1]:.0f} s", file=sys.stderr, flush=True)
    return relative_errors(ours, theirs)


def row(case: Case, errors: dict[str, float], *, training: bool) -> str:
    """A line of the table."""
    options = ", ".join(f"{key}={value}" for key, value in case.options.items())
    largest = [max((e for name, e in errors.items() if name.split(".")[0] == kind), default=None) for kind in KINDS]
    cells = [f"`{case.name}`" + (f" ({options})" if options else ""), str(case.shapes[0])]
    cells += ["training" if training else "evaluation", str(len(errors))]
    return "| " + " | ".join([*cells, *("–" if e is None else f"{e:.1e}" for e in largest)]) + " |"


if __name__ == "__main__":
    sys.exit(main())
