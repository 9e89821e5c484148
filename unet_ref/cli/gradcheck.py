"""``unet-ref gradcheck module:forward module:backward``: the checker on the user's own pair of functions."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .console import FAILED, HOLDS, USAGE, CommandError, theirs


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("forward", help="module:function, called as forward(*arrays)")
    parser.add_argument("backward", help="module:function, called as backward(grad_output, *arrays)")
    parser.add_argument(
        "--shape", action="append", required=True, metavar="N,C,H,W", help="one array's shape; once for each argument"
    )
    parser.add_argument("--dtype", default="float64", choices=("float16", "float32", "float64"))
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs and cotangents (default 0)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Check, print the report."""
    from ..check import gradcheck  # noqa: PLC0415 - the parser must not wait for it

    forward, backward = function(arguments.forward), function(arguments.backward)
    rng = np.random.default_rng(arguments.seed)
    arrays = [rng.standard_normal(shape(text)).astype(arguments.dtype) for text in arguments.shape]
    with theirs(f"checking {arguments.backward}", FAILED):
        report = gradcheck(forward, backward, *arrays, rng=arguments.seed)
    print(json.dumps(report.to_json(), indent=2) if arguments.json else report)
    return HOLDS if report else FAILED


def function(text: str) -> Callable[..., Any]:
    """The function that ``module:name`` says; modules in the current directory are found too."""
    module, _, name = text.partition(":")
    if not module or not name:
        raise CommandError(f"{text!r} must be module:function", USAGE)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    with theirs(f"importing {text}", USAGE):
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    if not callable(found):
        raise CommandError(f"{text!r} is a {type(found).__name__}, not a function", USAGE)
    return found


def shape(text: str) -> tuple[int, ...]:
    """``"2,3,8,8"`` as a tuple; the empty text is a scalar."""
    try:
        sizes = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise CommandError(f"shape {text!r} must be integers joined by commas", USAGE) from None
    if any(size < 0 for size in sizes):
        raise CommandError(f"shape {text!r} must not have negative sizes", USAGE)
    return sizes
