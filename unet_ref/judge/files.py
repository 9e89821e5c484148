"""Designed cases as files, for implementations in any language, and their results read back.

    DIR/manifest.json                 every case: operation, options, layout, file, shapes of arguments and results
    DIR/conv2d/000-plain.npz          x, weight, bias, grad_output
    RESULTS/conv2d/000-plain.npz      output, grad.x, grad.weight, grad.bias

A file is ``.npz``, ``.safetensors``, or a folder of ``.npy``; results need not be in the same kind as the cases. A list of
arrays is ``arrays.0``, ``arrays.1``; two outputs are ``output.0`` and ``output.1``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..check.bounds import profile_of
from ..errors import ShapeError
from ..models import state as states
from ..models.export import checksum, read_other
from .cases import FAMILIES, DesignedCase, designed_cases
from .mistake import Arguments, Results, right

FORMAT = "unet_ref cases 1"
SUFFIXES = {"npz": ".npz", "safetensors": ".safetensors", "npy": ""}


class Stored(NamedTuple):
    """A case of a folder, and the name of its file without the suffix."""

    case: DesignedCase
    stem: str


def write_cases(
    folder: Path, names: Iterable[str] = (), *, profile: str = "float32", kind: str = "npz"
) -> dict[str, Any]:
    """All designed cases of these operations (by default of all); the manifest comes last, and says what there is."""
    entries = []
    for name in list(names) or FAMILIES:
        for number, case in enumerate(designed_cases(name, profile_of(profile).dtype)):
            stem = f"{name}/{number:03d}-{re.sub(r'[^a-z0-9]+', '-', case.label.lower()).strip('-')}"
            tensors = named(case.arguments)
            (folder / name).mkdir(parents=True, exist_ok=True)
            write(folder / f"{stem}{SUFFIXES[kind]}", tensors)
            entries.append(_entry(case, stem, tensors))
    manifest = {"format": FORMAT, "profile": profile, "version": __version__, "file": kind, "cases": entries}
    states.write_beside(folder / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    return manifest


def read_cases(folder: Path) -> tuple[str, list[Stored]]:
    """The profile and the cases of a folder; ``ValueError`` where a byte of them has changed."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        return manifest["profile"], [_stored(folder, entry) for entry in manifest["cases"]]
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder / 'manifest.json'} is no manifest of `unet-ref cases`: {error!r}") from None


def read_results(folder: Path, stored: Stored) -> Results | None:
    """What an implementation made of a case; ``None`` where it made nothing."""
    tensors = read(folder, stored.stem)
    if tensors is None:
        return None
    expected = named_results(right(stored.case.arguments))
    if not set(tensors) & set(expected):
        raise ValueError(
            f"{folder / stored.stem}: holds {', '.join(sorted(tensors)) or 'nothing'}; expected {', '.join(expected)}"
        )
    outputs = [tensors[name] for name in expected if name.startswith("output") and name in tensors]
    several = sum(name.startswith("output") for name in expected) > 1
    grads: dict[str, Any] = {}
    for name in stored.case.arguments.arrays:
        parts = [tensors[key] for key in expected if re.fullmatch(rf"grad\.{name}(\.\d+)?", key) and key in tensors]
        if parts:
            grads[name] = tuple(parts) if f"grad.{name}.0" in expected else parts[0]
    return Results(tuple(outputs) if several else next(iter(outputs), None), grads)


# --- one file -------------------------------------------------------------------------------------------------------


def write(path: Path, tensors: Mapping[str, Any]) -> None:
    """One case, in the kind of file that the suffix says; without one a folder of ``.npy`` files."""
    if path.suffix in (".npz", ".safetensors"):
        states.save(path, tensors)
        return
    path.mkdir(parents=True, exist_ok=True)
    for name, array in tensors.items():
        with states.beside(path / f"{name}.npy") as beside:
            np.save(beside, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)


def read(folder: Path, stem: str) -> dict[str, Any] | None:
    """The tensors of one case, in whichever kind of file they are; ``None`` where there is none."""
    for suffix in SUFFIXES.values():
        path = folder / f"{stem}{suffix}"
        if path.exists():
            try:
                return read_other(path)
            except Exception as error:  # a damaged file: the readers have errors of many kinds
                raise ValueError(f"{path} cannot be read: {error}") from error
    return None


def named(arguments: Arguments) -> dict[str, Any]:
    """The arrays of a call by the names that files have; absent ones are left out."""
    return _flat({**arguments.arrays, "grad_output": arguments.grad_output})


def named_results(results: Results) -> dict[str, Any]:
    """The results likewise."""
    return _flat({"output": results.output, **{f"grad.{name}": grad for name, grad in results.grads.items()}})


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, tuple | list):
            found |= {f"{name}.{k}": array for k, array in enumerate(value)}
        elif value is not None:
            found[name] = value
    return found


# --- the manifest -------------------------------------------------------------------------------------------------


def _entry(case: DesignedCase, stem: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    arguments = case.arguments
    return {
        "operation": case.name,
        "label": case.label,
        "file": stem,
        "layout": case.layout,
        "options": {key: _plain(value) for key, value in arguments.options.items()},
        "arguments": {key: len(value) if isinstance(value, tuple) else value is not None
                      for key, value in arguments.arrays.items()},
        "tensors": {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in tensors.items()},
        "results": {name: list(array.shape) for name, array in named_results(right(arguments)).items()},
        "exact": sorted(case.exact),
        "sha256": checksum(tensors),
    }  # fmt: skip


def _stored(folder: Path, entry: Mapping[str, Any]) -> Stored:
    name, stem = entry["operation"], entry["file"]
    if name not in FAMILIES:
        raise ValueError(f"{folder / 'manifest.json'}: {name!r} is no operation")
    tensors = read(folder, stem)
    if tensors is None:
        raise ValueError(f"{folder / stem} is missing")
    if checksum(tensors) != entry["sha256"]:
        raise ValueError(f"{folder / stem}: the checksum does not fit its contents: the file was changed or damaged")
    arrays = dict(_arguments(entry["arguments"], tensors))
    options = {key: _value(value) for key, value in entry["options"].items()}
    arguments = Arguments(name, arrays, options, tensors.get("grad_output"))
    try:
        right(arguments)
    except (ShapeError, TypeError) as error:
        raise ValueError(f"{folder / 'manifest.json'}: {error}") from None
    return Stored(DesignedCase(entry["label"], arguments, frozenset(entry["exact"]), entry["layout"]), stem)


def _arguments(present: Mapping[str, Any], tensors: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, count in present.items():
        if isinstance(count, bool):
            yield name, tensors[name] if count else None
        else:
            yield name, tuple(tensors[f"{name}.{k}"] for k in range(count))


def _plain(value: Any) -> Any:
    """JSON has no tuples, and no infinity: lists, and the word."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_value(item) for item in value)
    return float(value) if value in ("inf", "-inf", "nan") else value
