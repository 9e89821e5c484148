"""``unet-ref trace MODEL``: every activation with its shape, cost and memory; ``--svg`` draws the network."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..models import Model
from ..models.drawing import draw
from ..models.plan import Plan, PlannedStep, plan
from ..models.state import write_beside
from .console import BAD_FILE, HOLDS, CommandError, human, table
from .network import add_model, build

MOMENTS = "mean", "spread", "gradient_mean", "gradient_spread"
NAME_WIDTH = 17  # of a name that needs no heading: the table fits in 80 columns


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_model(parser)
    parser.add_argument("--blocks", action="store_true", help="one row for each block instead of each activation")
    parser.add_argument("--values", action="store_true", help="run it: mean and spread of each activation and gradient")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the network as a U")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Plan, and with ``--values`` run."""
    model, shape, _ = build(arguments)
    planned = plan(model, shape, dtype=arguments.dtype, training=not arguments.eval)
    if arguments.svg:
        picture = draw(planned, arguments.model, dict(zip(model.inputs, model.input_shapes(shape), strict=True)))
        try:
            write_beside(arguments.svg, picture.encode())
        except OSError as error:
            raise CommandError(str(error), BAD_FILE) from None
    values = measure(model, shape, arguments) if arguments.values else {}
    if arguments.json:
        print(json.dumps(document(planned, values), indent=2))
    elif arguments.values:
        print(value_table(planned, values))
    else:
        print(cost_table(planned, blocks=arguments.blocks))
    return HOLDS


def measure(model: Model, shape: tuple[int, ...], arguments: argparse.Namespace) -> dict[str, tuple[float, ...]]:
    """Name -> mean and spread of the activation, then of its gradient, from one random pass."""
    rng = np.random.default_rng(arguments.seed)
    state = model.init(rng, arguments.dtype)
    inputs = [rng.standard_normal(s).astype(arguments.dtype) for s in model.input_shapes(shape)]
    trace = model.trace(state, *inputs, training=not arguments.eval, record="all")
    grad_output = rng.standard_normal(trace.output.shape).astype(arguments.dtype)
    forward = {name: _moments(array) for name, array in trace.items()}
    grads = model.backward(state, trace, grad_output, record=True, release=True).activations
    return {name: (*forward[name], *_moments(grads[name])) for name in trace.steps}


def _moments(array: Any) -> tuple[float, float]:
    with np.errstate(all="ignore"):  # infinities are the answer, not an accident
        return float(array.mean(dtype=np.float64)), float(array.std(dtype=np.float64))


def document(planned: Plan, values: dict[str, tuple[float, ...]]) -> dict[str, Any]:
    """The plan as data; what is no finite number is null."""
    return {
        "steps": [
            step._asdict()
            | {key: v if math.isfinite(v) else None for key, v in zip(MOMENTS, values.get(step.name, ()), strict=False)}
            for step in planned.steps
        ],
        "output_shape": planned.output_shape,
        "parameters": planned.parameters,
        "multiply_adds": planned.multiply_adds,
        "activation_bytes": planned.nbytes,
        "peak_bytes": {"forward": planned.forward_peak, "forward_and_backward": planned.backward_peak},
    }


def cost_table(planned: Plan, *, blocks: bool = False) -> str:
    """What every activation costs, or with ``blocks`` every block; the totals, and the peak memory."""
    steps = block_sums(planned.steps) if blocks else planned.steps
    rows = [[step.op, _times(step.shape), *(human(n) if n else "-" for n in step[4:7])] for step in steps]
    totals = (human(n) for n in (planned.parameters, planned.multiply_adds, planned.nbytes))
    header = ["block" if blocks else "activation", "operation", "shape", "params", "mul-adds", "bytes"]
    total = ["total", f"{len(planned.steps)} steps", "", *totals]
    shared = [""] * len(steps) if blocks else headings(step.name for step in steps)
    peaks = f"forward {human(planned.forward_peak)}B, forward and backward {human(planned.backward_peak)}B"
    return f"{headed(header, steps, shared, rows, [total])}\n\npeak memory beside the parameters: {peaks}"


def value_table(planned: Plan, values: dict[str, tuple[float, ...]]) -> str:
    """Mean and spread (standard deviation) of every activation and of the gradient there."""
    rows = [[_times(step.shape), *(f"{v:.1e}" for v in values[step.name])] for step in planned.steps]
    header = ["activation", "shape", "mean", "spread", "of gradient: mean", "spread"]
    return headed(header, planned.steps, headings(step.name for step in planned.steps), rows, [])


def headed(
    header: Sequence[str], steps: Sequence[PlannedStep], shared: Sequence[str], rows: Sequence[Sequence[str]],
    last: Sequence[Sequence[str]],
) -> str:  # fmt: skip
    """A table of named steps: what the names of several share stands above them as a heading."""
    names = [f"  {s.name.removeprefix(f'{h}.')}" if h else s.name for s, h in zip(steps, shared, strict=True)]
    body = [[name, *row] for name, row in zip(names, rows, strict=True)]
    first = header.index("shape") + 1
    title, rule, *lines = table(header, [*body, *last], right=range(first, len(header))).splitlines()
    for k in reversed(range(len(steps))):
        if shared[k] and (not k or shared[k] != shared[k - 1]):
            lines.insert(k, shared[k])
    return "\n".join([title, rule, *lines])


def headings(names: Iterable[str]) -> list[str]:
    """For each name its leading parts, as many as leave a short end, alike for all names with the same first part.

    >>> headings(["stem", "decoder.layers.0.conv.0", "decoder.layers.0.concat"])
    ['', 'decoder', 'decoder']
    """
    split = [name.split(".") for name in names]
    depth: dict[str, int] = {}
    for first, group in itertools.groupby(sorted(split), key=lambda parts: parts[0]):
        members = list(group)
        shortest = min(map(len, members))
        fitting = (d for d in range(shortest) if all(len(".".join(m[d:])) <= NAME_WIDTH for m in members))
        depth[first] = next(fitting, shortest - 1)
    return [".".join(parts[: depth[parts[0]]]) for parts in split]


def block_sums(steps: Iterable[PlannedStep]) -> list[PlannedStep]:
    """Neighbours of one block as one step: the last one's shape, and the sums of what they cost."""
    sums = []
    for name, group in itertools.groupby(steps, key=lambda step: block(step.name)):
        members = list(group)
        costs = (sum(column) for column in zip(*(step[4:7] for step in members), strict=True))
        whole = PlannedStep(name, f"{len(members)} steps", (), members[-1].shape, *costs)
        sums.append(whole if len(members) > 1 else members[0])
    return sums


def block(name: str) -> str:
    """The block that a step belongs to: its name up to the first number that is not its end, or its parent.

    >>> block("layer1.0.downsample.1"), block("encoder.layer1.2"), block("concat")
    ('layer1.0', 'encoder.layer1', 'concat')
    """
    parts = name.split(".")
    numbers = (k for k, part in enumerate(parts[:-1]) if part.isdigit())
    return ".".join(parts[: next(numbers, len(parts) - 2) + 1]) or name


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
