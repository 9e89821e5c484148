"""``unet-ref train MODEL``: a short run on small data made on the spot, as proof that the gradients train a network."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..models.data import TASKS
from ..models.state import beside
from ..models.training import OPTIMISERS, start, train
from .console import BAD_FILE, FAILED, HOLDS, NO_BACKEND, USAGE, CommandError, progress, table
from .network import add_model, build

RATES = {"sgd": 0.05, "adam": 0.01}
ROWS = 10  # of the printed table


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_model(parser, training=True)
    parser.add_argument("--steps", type=int, default=100, help="one batch each (default 100)")
    parser.add_argument("--optimizer", choices=tuple(OPTIMISERS), default="adam")
    parser.add_argument("--lr", type=float, help="learning rate (default: 0.01 for adam, 0.05 for sgd)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the losses: name.png, name.svg or name.pdf")
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="write the trained state: name.safetensors or name.npz"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Train, print the losses, write what was asked for; the exit code says whether the loss fell."""
    task = TASKS[arguments.model]
    model, shape, options = build(arguments, task.shape, task.options)
    rate = RATES[arguments.optimizer] if arguments.lr is None else arguments.lr
    figure = _prepare(arguments)
    model.output_shape(*model.input_shapes(shape))  # refuses what does not fit before anything is drawn

    rng = np.random.default_rng(arguments.seed)
    state = start(model, rng, arguments.dtype)
    batches = (task.batch(rng, model, shape, arguments.dtype) for _ in range(arguments.steps))
    optimiser = functools.partial(OPTIMISERS[arguments.optimizer], lr=rate)
    losses = []
    run_of_steps = train(model, state, batches, loss=task.loss, optimiser=optimiser)
    for value, after in progress(run_of_steps, arguments.steps, f"train {arguments.model}"):
        losses.append(value)
        state = after
    first, last = ends(losses)
    document = {
        "model": arguments.model, "options": options, "task": task.purpose, "loss": task.loss, "input": shape,
        "optimizer": arguments.optimizer, "lr": rate, "seed": arguments.seed, "dtype": arguments.dtype,
        "losses": [value if math.isfinite(value) else None for value in losses], "falls": last < first,
    }  # fmt: skip
    print(json.dumps(document, indent=2) if arguments.json else report(document, losses))
    try:
        if arguments.state:
            model.save(arguments.state, state)
        if figure is not None:
            plot(figure, arguments.plot, losses, f"{arguments.model}: {task.purpose}", task.loss)
    except OSError as error:
        raise CommandError(str(error), BAD_FILE) from None
    return HOLDS if last < first else FAILED


def _prepare(arguments: argparse.Namespace) -> Any:
    """Refuse before the work what could not be done after it; the figure to plot on, where one was asked for."""
    if arguments.steps < 2:
        raise CommandError(f"--steps ({arguments.steps}) must be at least 2, to see the loss fall", USAGE)
    if arguments.state and arguments.state.suffix not in (".safetensors", ".npz"):
        raise CommandError(f"--state {arguments.state}: the name must end in .safetensors or .npz", USAGE)
    if arguments.state and arguments.state.suffix == ".safetensors":
        _need("safetensors.numpy", "--state name.safetensors", "safetensors")
    if not arguments.plot:
        return None
    figure = _need("matplotlib.figure", "--plot", "plot").Figure(figsize=(6, 4), layout="constrained")
    kinds = figure.canvas.get_supported_filetypes()
    if arguments.plot.suffix[1:] not in kinds:
        raise CommandError(f"--plot {arguments.plot}: the name must end in one of .{', .'.join(sorted(kinds))}", USAGE)
    return figure


def _need(module: str, wanted: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise CommandError(f"{wanted} needs {package} (pip install 'unet-ref[{extra}]')", NO_BACKEND) from None


def ends(losses: Sequence[float]) -> tuple[float, float]:
    """The mean loss of the first tenth, and of the last."""
    tenth = max(1, len(losses) // 10)
    return float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))


def report(document: dict[str, Any], losses: Sequence[float]) -> str:
    """The losses for a person: means of as many steps as make ten rows."""
    each = max(1, -(-len(losses) // ROWS))
    rows = []
    for first in range(0, len(losses), each):
        part = losses[first : first + each]
        span = f"{first + 1}-{first + len(part)}" if len(part) > 1 else str(first + 1)
        rows.append([span, f"{float(np.mean(part)):.4f}"])
    what = f"{document['model']}: {document['task']}, {document['optimizer']} with lr {document['lr']:g}"
    verdict = "The loss falls" if document["falls"] else "The loss does not fall"
    first_mean, last_mean = ends(losses)
    return "\n".join([
        what, "", table(("steps", document["loss"]), rows, right=(1,)), "",
        f"{verdict}: {first_mean:.4f} at the start, {last_mean:.4f} at the end.",
    ])  # fmt: skip


def plot(figure: Any, path: Path, losses: Sequence[float], title: str, loss: str) -> None:
    """The loss over the steps."""
    axes = figure.add_subplot(title=title, xlabel="step", ylabel=loss)
    axes.plot(range(1, len(losses) + 1), losses, linewidth=1.2)
    axes.grid(alpha=0.3)
    with beside(path) as name:
        figure.savefig(name, format=path.suffix[1:], dpi=150)
