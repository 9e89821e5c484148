"""Names of operations and networks on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ..check import OPERATIONS
from ..models import MODELS
from .console import USAGE, CommandError

KNOWN = (*OPERATIONS, *MODELS)


def check_names(names: Iterable[str]) -> None:
    """A sentence for what is no operation or network, with the nearest that is."""
    for name in names:
        if name not in KNOWN:
            close = difflib.get_close_matches(name, KNOWN, 1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise CommandError(f"{name!r} is no operation or network{hint} Known: {', '.join(KNOWN)}", USAGE)
