"""The command ``unet-ref``: one module for each subcommand, each with ``configure(parser)`` and ``run(arguments)``."""

from .main import main

__all__ = ["main"]
