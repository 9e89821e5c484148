"""The arguments that measurements of networks share."""

from __future__ import annotations

import argparse


def names_and_dtype(description):
    """``[NAME ...] [--dtype float32]``, from the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    return parser.parse_args()
