"""``unet-ref trace MODEL``: every activation with its shape, cost and memory; ``--svg`` draws the network."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..models import MODELS, Model
from ..models.drawing import draw
from ..models.plan import Plan, plan
from ..models.state import write_beside
from .console import HOLDS, USAGE, CommandError, human, table

INPUTS = {
    "unet2": (1, 1, 256, 256),
    "unet_film": (2, 17, 256, 256),
    "resnet50": (1, 3, 224, 224),
    "resnet_unet": (1, 1, 512, 512),
    "context_unet": (1, 3, 28, 28),
    "unet": (1, 3, 256, 256),
}  # as the seeds have them


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_model(parser)
    parser.add_argument("--values", action="store_true", help="run it too: mean and spread of every activation and gradient")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the network as a U")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def add_model(parser: argparse.ArgumentParser) -> None:
    """The arguments that describe a network and its input, alike in every subcommand."""
    parser.add_argument("model", choices=sorted(MODELS), metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--set", action="append", default=[], metavar="ARGUMENT=NUMBER", dest="options",
                        help="an argument of its constructor, such as base_channels=8")  # fmt: skip
    parser.add_argument("--input", metavar="N,C,H,W", help="shape of the image (default: the seed's)")
    parser.add_argument("--dtype", choices=("float16", "float32", "float64"), default="float32")
    parser.add_argument("--eval", action="store_true", help="batch norm by running statistics instead of the batch's")
    parser.add_argument("--seed", type=int, default=0)


def build(arguments: argparse.Namespace) -> tuple[Model, tuple[int, ...], dict[str, int]]:
    """The network, the image's shape and the constructor's options that the command line describes."""
    try:
        options = {key: int(value) for key, value in (text.split("=", 1) for text in arguments.options)}
        model = MODELS[arguments.model](**options)
    except TypeError as error:
        raise CommandError(f"--set: {str(error).partition('() ')[2] or error}", USAGE) from None
    except ValueError as error:
        raise CommandError(f"--set: {error}", USAGE) from None
    shape = INPUTS[arguments.model]
    if arguments.input is None and "in_channels" in options:
        shape = (shape[0], options["in_channels"], *shape[2:])
    if arguments.input is None and "height" in options:
        shape = (*shape[:2], options["height"], options["height"])
    if arguments.input is not None:
        try:
            shape = tuple(int(part) for part in arguments.input.split(","))
        except ValueError:
            raise CommandError(f"--input {arguments.input!r} must be integers joined by commas", USAGE) from None
        if len(shape) != 4 or min(shape) < 1:
            raise CommandError(f"--input {arguments.input!r} must be four positive sizes N,C,H,W", USAGE)
    return model, shape, options


def run(arguments: argparse.Namespace) -> int:
    """Plan, and with ``--values`` run."""
    model, shape, _ = build(arguments)
    planned = plan(model, shape, dtype=arguments.dtype, training=not arguments.eval)
    values = measure(model, shape, arguments) if arguments.values else {}
    if arguments.svg:
        write_beside(arguments.svg, draw(planned, arguments.model, model.input_shapes(shape)).encode())
    print(json.dumps(document(planned, values), indent=2) if arguments.json else report(planned, values))
    return HOLDS


def measure(model: Model, shape: tuple[int, ...], arguments: argparse.Namespace) -> dict[str, tuple[float, ...]]:
    """Name -> mean and spread of the activation, then of its gradient, from one random pass."""
    rng = np.random.default_rng(arguments.seed)
    state = model.init(rng, arguments.dtype)
    inputs = [rng.standard_normal(s).astype(arguments.dtype) for s in model.input_shapes(shape)]
    trace = model.trace(state, *inputs, training=not arguments.eval, record="all")
    activations = dict(trace)
    grads = model.backward(
        state, trace, rng.standard_normal(trace.output.shape).astype(arguments.dtype), record=True, release=True
    )
    return {
        name: (*_moments(activations[name]), *_moments(grads.activations[name]))
        for name in trace.steps
        if name in activations and name in grads.activations
    }


def _moments(array: Any) -> tuple[float, float]:
    return float(array.mean(dtype=np.float64)), float(array.std(dtype=np.float64))


def document(planned: Plan, values: dict[str, tuple[float, ...]]) -> dict[str, Any]:
    """The plan as data."""
    keys = ("mean", "spread", "gradient_mean", "gradient_spread")
    return {
        "steps": [
            step._asdict() | dict(zip(keys, values.get(step.name, ()), strict=False)) for step in planned.steps
        ],
        "output_shape": planned.output_shape,
        "parameters": planned.parameters,
        "multiply_adds": planned.multiply_adds,
        "activation_bytes": planned.nbytes,
        "peak_bytes": {"forward": planned.forward_peak, "forward_and_backward": planned.backward_peak},
    }


def report(planned: Plan, values: dict[str, tuple[float, ...]]) -> str:
    """The table for a person."""
    header = ["activation", "operation", "shape", "params", "mul-adds", "bytes"]
    extra = ["mean", "spread", "grad mean", "grad spread"] if values else []
    rows = [
        [step.name, step.op, "x".join(map(str, step.shape)), *(human(n) if n else "-" for n in step[4:7]),
         *(f"{v:.1e}" for v in values.get(step.name, ()))]
        for step in planned.steps
    ]  # fmt: skip
    rows = [row + [""] * (len(header) + len(extra) - len(row)) for row in rows]
    totals = [human(n) for n in (planned.parameters, planned.multiply_adds, planned.nbytes)]
    rows.append(["total", f"{len(planned.steps)} steps", "", *totals, *("" for _ in extra)])
    peaks = ", ".join(
        f"{label} {human(peak)}B" for label, peak in
        (("forward", planned.forward_peak), ("forward and backward", planned.backward_peak))
    )  # fmt: skip
    return table(header + extra, rows, right=range(3, len(header) + len(extra))) + f"\n\npeak memory: {peaks}"
