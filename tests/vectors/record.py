"""Records what PyTorch computes, so that the suite can compare with it where PyTorch is not installed.

    pip install -e '.[test]' torch==2.13.0
    python tests/vectors/record.py

For every operation a compressed ``NAME.npz``: arguments drawn by ``tests/torch_cases.py`` over the whole range, outputs
and every gradient in float64; and ``manifest.json`` with the versions, the seed and the SHA-256 of each file. The same
versions give the same files.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from torch_adapters import ADAPTERS, torch_pass
from torch_cases import draw

SEED = 2026
CASES = 12  # of each operation
LARGEST = 400  # elements in an argument: the files stay small


def main() -> None:
    """Writes all files."""
    assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
    checksums = {}
    for name in sorted(ADAPTERS):
        path = HERE / f"{name}.npz"
        np.savez_compressed(path, **record(name))
        checksums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{path.name}: {path.stat().st_size} bytes")
    manifest = {"torch": "2.13.0", "numpy": np.__version__, "seed": SEED, "cases": CASES, "sha256": checksums}
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def record(name: str) -> dict[str, Any]:
    """``{k}/argument``, ``{k}/y``, ``{k}/grad_output``, ``{k}/grad.argument`` for case k, and the options as JSON."""
    rng = np.random.default_rng([SEED, sorted(ADAPTERS).index(name)])
    entries: dict[str, Any] = {}
    options_of_cases = []
    while len(options_of_cases) < CASES:
        arrays, options = draw(name, rng)
        if max(leaf.size for leaf in leaves(list(arrays.values()))) > LARGEST:
            continue
        arrays = {key: short(value) for key, value in arrays.items()}
        y, _ = torch_pass(name, arrays, options)
        found = {**arrays, "y": y}
        if not isinstance(y, tuple):
            found["grad_output"] = short(rng.standard_normal(y.shape))
            _, grads = torch_pass(name, arrays, options, found["grad_output"])
            found |= {f"grad.{key}": value for key, value in grads.items()}
        entries |= flatten(f"{len(options_of_cases)}/", found)
        options_of_cases.append({"options": options, "arguments": list(arrays)})
    return {"cases": np.array(json.dumps(options_of_cases)), **entries}


def leaves(value: Any) -> list[Any]:
    """All arrays inside."""
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in leaves(item)]
    return [] if value is None else [value]


def short(value: Any) -> Any:
    """Numbers of few digits: they compress, and they have ties. Within the drawn range."""
    if isinstance(value, tuple):
        return tuple(short(item) for item in value)
    return value if value is None or value.dtype.kind != "f" else np.round(value * 64) / 64


def flatten(prefix: str, found: dict[str, Any]) -> dict[str, Any]:
    """One entry an array; the items of a tuple are ``name.0``, ``name.1``; an absent array has none."""
    entries = {}
    for key, value in found.items():
        items = {f".{k}": item for k, item in enumerate(value)} if isinstance(value, tuple) else {"": value}
        entries |= {f"{prefix}{key}{suffix}": item for suffix, item in items.items() if item is not None}
    return entries


if __name__ == "__main__":
    main()
