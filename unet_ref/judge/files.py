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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..check.bounds import profile_of
from ..models import state as states
from ..models.export import checksum, read_other
from .cases import FAMILIES, DesignedCase, designed_cases
from .mistake import Arguments, Results, right

FORMAT = "unet_ref cases 1"
STEM = r"[a-z0-9_]+/[a-z0-9-]+"  # operation/number-label
SUFFIXES = {"npz": ".npz", "safetensors": ".safetensors", "npy": ""}


class FileError(ValueError):
    """A file that does not fit; the message names it."""


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


def read_cases(folder: Path, only: Sequence[str] = ()) -> tuple[str, list[Stored]]:
    """The profile of a folder and its cases, or those ``only`` that are named by operation or by file.

    ``FileError`` where a byte of them has changed.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise FileError(f"{path} is missing: is {folder} a folder of `unet-ref cases`?")
    try:
        manifest = json.loads(path.read_bytes())
        profile, suffix = profile_of(manifest["profile"]).name, SUFFIXES[manifest["file"]]
        entries = [({_words(entry, "operation"), _words(entry, "file")}, entry) for entry in manifest["cases"]]
        found = [_stored(folder, suffix, entry) for names, entry in entries if not only or names & set(only)]
    except FileError:
        raise
    except Exception as error:  # noqa: BLE001  a manifest that was written by hand, or damaged, can be wrong in any way
        raise FileError(f"{path} is no manifest of `unet-ref cases`: {type(error).__name__}: {error}") from None
    if manifest.get("format") != FORMAT:
        raise FileError(f"{path}: its format must be {FORMAT!r}")
    absent = set(only).difference(*(names for names, _ in entries))
    if absent or not found:
        raise FileError(f"{path} has no cases of {', '.join(sorted(absent)) or 'any operation'}")
    return profile, found


def read_results(folder: Path, stored: Stored) -> Results | None:
    """What an implementation made of a case; ``None`` where it made nothing."""
    found = next((path for suffix in SUFFIXES.values() if (path := folder / f"{stored.stem}{suffix}").exists()), None)
    if found is None:
        return None
    tensors, arguments = read(found), stored.case.arguments
    expected = list(named_results(right(arguments)))
    if not set(tensors) & set(expected) or set(tensors) - set(expected) - set(named(arguments)):
        raise FileError(f"{found} holds {', '.join(sorted(tensors)) or 'nothing'}; expected {', '.join(expected)}")
    for name, array in tensors.items():
        if array.dtype.kind not in "fiub":
            raise FileError(f"{found}: the dtype of {name} ({array.dtype}) must be one of real numbers")
    output = _joined("output", tensors, expected, found)
    grads = {name: _joined(f"grad.{name}", tensors, expected, found) for name in arguments.arrays}
    return Results(output, {name: gradient for name, gradient in grads.items() if gradient is not None})


def lacking(stored: Stored, results: Results) -> list[str]:
    """The tensors that a result could have and has not, by the names that files have."""
    has = named_results(results)
    return [name for name in named_results(right(stored.case.arguments)) if name not in has]


def _joined(name: str, tensors: Mapping[str, Any], expected: Sequence[str], path: Path) -> Any:
    """An array, or the tuple of those that are called ``name.0``, ``name.1``, ...; ``None`` where there is none."""
    parts = [key for key in expected if re.fullmatch(rf"{re.escape(name)}\.\d+", key)]
    has = [key for key in parts if key in tensors]
    if has and len(has) < len(parts):
        raise FileError(f"{path} holds {', '.join(has)} but not all of {', '.join(parts)}")
    return tuple(tensors[key] for key in has) if has else tensors.get(name)


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


def read(path: Path) -> dict[str, Any]:
    """The tensors of one case."""
    try:
        return read_other(path)
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged file: the readers have errors of many kinds
        text = str(error)
        raise FileError(text if text.startswith(str(path)) else f"{path} cannot be read: {text}") from None


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


def _stored(folder: Path, suffix: str, entry: Mapping[str, Any]) -> Stored:
    name, stem = _words(entry, "operation"), _words(entry, "file")
    if name not in FAMILIES:
        raise ValueError(f"{name!r} is no operation")
    path = folder / f"{stem}{suffix}"
    tensors = read(path)
    if checksum(tensors) != entry["sha256"]:
        raise FileError(f"{path}: the checksum does not fit its contents: the file was changed or damaged")
    arrays = dict(_arguments(entry["arguments"], tensors))
    options = {key: _value(value) for key, value in entry["options"].items()}
    arguments = Arguments(name, arrays, options, tensors.get("grad_output"))
    right(arguments)  # raises where they do not fit the operation
    exact = frozenset(entry["exact"])
    return Stored(DesignedCase(_words(entry, "label"), arguments, exact, _words(entry, "layout")), stem)


def _words(entry: Mapping[str, Any], key: str) -> str:
    """A text of the manifest that can be shown; a file's name leads nowhere else."""
    text = entry[key]
    if not isinstance(text, str) or not text.isprintable() or (key == "file" and not re.fullmatch(STEM, text)):
        raise ValueError(f"{key} ({text!r}) is no {key}")
    return text


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
