"""How a command line describes a network and its input, alike in every subcommand that takes one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from ..errors import ShapeError
from ..models import MODELS, Model
from .console import USAGE, CommandError

INPUTS = {
    "unet2": (1, 1, 256, 256),
    "unet_film": (2, 17, 256, 256),
    "resnet50": (1, 3, 224, 224),
    "resnet_unet": (1, 1, 512, 512),
    "context_unet": (1, 3, 28, 28),
    "unet": (1, 3, 256, 256),
}  # as the seeds have them


def add_model(parser: argparse.ArgumentParser, *, training: bool = False) -> None:
    """The arguments: the network, its constructor's, its input's shape; ``training``: for that alone.

    Training knows no evaluation mode, and not float16, in which Adam's ``eps`` would be 0.
    """
    parser.add_argument("model", choices=sorted(MODELS), metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--set", action="append", default=[], metavar="ARGUMENT=NUMBER", dest="options",
                        help="an argument of its constructor, such as base_channels=8")  # fmt: skip
    parser.add_argument("--input", metavar="N,C,H,W", help="shape of the image")
    dtypes = ("float32", "float64") if training else ("float16", "float32", "float64")
    parser.add_argument("--dtype", choices=dtypes, default="float32")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default 0)")
    if not training:
        parser.add_argument("--eval", action="store_true", help="batch norm by running statistics, not the batch's")


def build(
    arguments: argparse.Namespace, shape: tuple[int, ...] | None = None, defaults: Mapping[str, int] | None = None
) -> tuple[Model, tuple[int, ...], dict[str, int]]:
    """The network, the image's shape and the constructor's options; ``shape`` and ``defaults`` hold where none are given."""
    shape = INPUTS[arguments.model] if shape is None else shape
    model, options = create(arguments.model, arguments.options, defaults)
    if arguments.input is not None:
        return model, _shape(arguments.input), options
    channels, side = options.get("in_channels", shape[1]), options.get("height")
    return model, (shape[0], channels, *((side, side) if side else shape[2:])), options


def create(name: str, texts: Sequence[str], defaults: Mapping[str, int] | None = None) -> tuple[Model, dict[str, int]]:
    """The network that ``--set ARGUMENT=NUMBER ...`` describes, and its options."""
    try:
        options = {**(defaults or {}), **{key: int(value) for key, value in (text.split("=", 1) for text in texts)}}
        return MODELS[name].create(**options), options
    except TypeError as error:
        raise CommandError(f"--set: {str(error).partition('() ')[2] or error}", USAGE) from None
    except ShapeError as error:
        raise CommandError(f"--set: {error}", USAGE) from None
    except ValueError:
        raise CommandError(f"--set {' '.join(texts)}: must be ARGUMENT=NUMBER", USAGE) from None


def _shape(text: str) -> tuple[int, ...]:
    """``"2,3,64,64"`` as a shape."""
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise CommandError(f"--input {text!r} must be integers joined by commas", USAGE) from None
    if len(shape) != 4 or min(shape) < 1:
        raise CommandError(f"--input {text!r} must be four positive sizes N,C,H,W", USAGE)
    return shape
