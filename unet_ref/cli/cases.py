"""``unet-ref cases DIR``: all designed cases as files, for implementations in any language."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from .console import BAD_FILE, HOLDS, CommandError
from .judge import known

PROFILES = ("float32", "float64", "float16", "bfloat16")


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to; made if it is not there")
    parser.add_argument("names", nargs="*", metavar="NAME", help="operations (default: all)")
    parser.add_argument("--dtype", choices=PROFILES, default="float32", help="bfloat16 numbers come in float32")
    parser.add_argument("--format", choices=("npz", "safetensors", "npy"), default="npz", help="npy: a folder a case")
    parser.add_argument("--json", action="store_true", help="the manifest on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Write them."""
    from ..judge.files import write_cases  # noqa: PLC0415 - the parser must not wait for it

    known(arguments.names)
    try:
        manifest = write_cases(arguments.folder, arguments.names, profile=arguments.dtype, kind=arguments.format)
    except (OSError, ValueError) as error:
        raise CommandError(str(error), BAD_FILE) from None
    if arguments.json:
        print(json.dumps(manifest, indent=2))
        return HOLDS
    count = len({case["operation"] for case in manifest["cases"]})
    print(f"{arguments.folder}: {len(manifest['cases'])} cases of {count} operations in {arguments.dtype}")
    print(f"""Each holds the arrays of a call; manifest.json has its options. Write `output`
and `grad.x`, ... of each under the same name into another folder. Then:
  unet-ref judge {shlex.quote(str(arguments.folder))} RESULTS""")
    return HOLDS
