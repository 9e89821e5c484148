"""``unet-ref export MODEL FILE``: state, inputs, every activation and every gradient in one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..models.export import export
from .console import BAD_FILE, HOLDS, USAGE, CommandError, human
from .network import add_model, build


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add_model(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="name.safetensors or name.npz")
    parser.add_argument("--scheme", choices=("torch", "he"), default="torch", help="how the state is drawn")
    parser.add_argument("--state", type=Path, metavar="S.safetensors", help="use this state instead of a random one")


def run(arguments: argparse.Namespace) -> int:
    """Run the network once and write the file."""
    model, shape, options = build(arguments)
    if arguments.file.suffix not in (".safetensors", ".npz"):
        raise CommandError(f"{arguments.file}: the name must end in .safetensors or .npz", USAGE)
    model.output_shape(*model.input_shapes(shape))
    try:
        state = None if arguments.state is None else model.load(arguments.state)
        tensors = export(
            arguments.file, arguments.model, options, model, shape, dtype=arguments.dtype, seed=arguments.seed,
            training=not arguments.eval, scheme=arguments.scheme, state=state,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise CommandError(str(error), BAD_FILE) from None
    nbytes = sum(array.nbytes for array in tensors.values())
    print(f"{arguments.file}: {len(tensors)} tensors, {human(nbytes)}B")
    return HOLDS
