"""The parser of ``unet-ref`` and its exit codes."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import DTypeError, ShapeError
from .console import INTERRUPTED, NO_BACKEND, USAGE, CommandError, say

COMMANDS = {
    "verify": "every link of the chain of trust, for every operation and network, one row each",
    "gradcheck": "check your own gradient: module:forward module:backward",
    "trace": "every activation of a network: shape, cost, memory; with --svg its drawing",
    "export": "one file with a run of a network: state, inputs, every activation, every gradient",
    "compare": "another implementation's run of a network against an export: the first guilty layer",
    "cases": "designed cases as files, for implementations in any language",
    "judge": "is their implementation right, and if not, which mistake is it? files, functions or a library",
    "train": "a short training run of a network on small data made on the spot",
    "explain": "an operation or a network for a learner: formula, shapes, gradient, conventions, mistakes",
    "bench": "how fast everything is, beside PyTorch and the machine's own matrix product",
    "doctor": "what is installed, which BLAS and kernel NumPy uses, whether CuPy sees a device",
}

EPILOG = """exit codes: 0 all hold, 1 a check failed, 2 wrong usage, 3 the backend asked for is missing,
4 a file is unreadable or does not fit, 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="unet-ref",
        description="Executable reference for the U-Net family, and the evidence that it is right.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"unet-ref {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        module = importlib.import_module(f"unet_ref.cli.{name}")
        sub = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", epilog=EPILOG,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        module.configure(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    arguments = parser().parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except CommandError as error:
        say(f"unet-ref {arguments.command}: {error}")
        return error.code
    except (ShapeError, DTypeError) as error:
        say(f"unet-ref {arguments.command}: {error}")
        return USAGE
    except ImportError as error:  # an optional package: the message says which, and how to get it
        say(f"unet-ref {arguments.command}: {error}")
        return NO_BACKEND
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough: `unet-ref verify | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
