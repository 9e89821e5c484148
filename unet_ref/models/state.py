"""States: dictionaries of arrays with PyTorch's names and layouts; made, checked, written and read."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..backend import DTYPES, namespace
from ..errors import DTypeError, ShapeError
from .layers import BatchNorm2d, Layer

State: TypeAlias = dict[str, Any]


class StateError(ShapeError):
    """A state that does not fit its network: one message lists all that is missing, unexpected or of the wrong shape."""


def tensors(layers: Mapping[str, Layer], *, buffers: bool = True) -> dict[str, tuple[int, ...]]:
    """Every tensor's name and shape, in PyTorch's order."""
    return {
        f"{name}.{tensor}": shape
        for name, layer in layers.items()
        for tensor, shape in (layer.parameters() | (layer.buffers() if buffers else {})).items()
    }


def init(layers: Mapping[str, Layer], rng: Any, dtype: Any, scheme: str) -> State:
    """A fresh state. ``"torch"``: uniform within ``1/sqrt(fan-in)``, PyTorch's default for convolutions and linear layers.

    ``"he"``: normal with variance ``2 / incoming``, biases 0, as the U-Net paper has it. Norms start as the identity.
    """
    if scheme not in ("torch", "he"):
        raise ValueError(f"init: scheme ({scheme!r}) must be 'torch' or 'he'")
    if np.dtype(dtype).char not in DTYPES:
        raise DTypeError(f"init: dtype ({dtype}) must be float16, float32, float64, longdouble, complex or object")
    rng = np.random.default_rng(rng)
    state: State = {}
    for name, layer in layers.items():
        for tensor, shape in layer.parameters().items():
            state[f"{name}.{tensor}"] = _draw(layer, tensor, shape, rng, scheme).astype(dtype)
        if isinstance(layer, BatchNorm2d):
            state[f"{name}.running_mean"] = np.zeros(layer.channels, dtype)
            state[f"{name}.running_var"] = np.ones(layer.channels, dtype)
            state[f"{name}.num_batches_tracked"] = np.zeros((), np.int64)
    return state


def _draw(layer: Layer, tensor: str, shape: tuple[int, ...], rng: np.random.Generator, scheme: str) -> Any:
    if not layer.incoming():
        return np.full(shape, 1.0 if tensor == "weight" else 0.0)
    if scheme == "torch":
        return rng.uniform(-layer.bound(), layer.bound(), shape)
    spread = math.sqrt(2 / layer.incoming())
    return rng.normal(0.0, spread, shape) if tensor == "weight" else np.zeros(shape)


def check(who: str, layers: Mapping[str, Layer], state: Mapping[str, Any], ignored: Callable[[str], bool]) -> list[str]:
    """The names of ``state`` that are known but not used; ``StateError`` with everything that does not fit."""
    expected = tensors(layers)
    unused = [name for name in state if name not in expected and ignored(name)]
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected and not ignored(name)]
    held = {name: state[name] for name in expected if name in state and _is_array(state[name])}
    others = [f"{n} is a {type(state[n]).__name__}" for n in expected if n in state and n not in held]
    shapes = [f"{n} is {tuple(a.shape)} and must be {expected[n]}" for n, a in held.items() if a.shape != expected[n]]
    counts = [name for name in held if name.endswith("num_batches_tracked")]
    dtypes = [f"{n} is {held[n].dtype} and must be an integer" for n in counts if held[n].dtype.kind not in "iu"]
    dtypes += [
        f"{n} is {a.dtype} and must be floating"
        for n, a in held.items()
        if n not in counts and a.dtype.char not in DTYPES
    ]
    floating = {str(a.dtype) for name, a in held.items() if name not in counts}
    problems = [
        *_listed("missing", missing),
        *_listed("unexpected", unexpected),
        *_listed("no array", others),
        *_listed("of the wrong shape", shapes),
        *_listed("of the wrong dtype", dtypes),
        *_listed("of several dtypes", sorted(floating) if len(floating) > 1 else []),
    ]
    if problems:
        raise StateError(f"{who}: the state does not fit: " + "; ".join(problems))
    return unused


def _is_array(value: Any) -> bool:
    try:
        namespace(value)
    except DTypeError:
        return isinstance(value, np.generic)
    return value is not None


def _listed(what: str, names: list[str], most: int = 12) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"{len(names)} {what}: {', '.join(names[:most])}{more}"]


def save(path: str | os.PathLike[str], arrays: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
    """Write ``.safetensors`` or ``.npz``: beside the target first, then renamed, so that no file is ever half written."""
    target = Path(path)
    # safetensors 0.8.0 writes the memory of a strided array in the wrong order: hand it contiguous copies only.
    host = {name: np.ascontiguousarray(_to_host(a)).reshape(a.shape) for name, a in arrays.items()}
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (metadata or {}).items()}
    writer = _writer(target)
    with beside(target) as name:
        writer(name, host, text)


@contextlib.contextmanager
def beside(path: str | os.PathLike[str]) -> Iterator[str]:
    """A new file beside ``path``, which takes its place when all went well and vanishes when not."""
    target = Path(path)
    name = str(target.parent / f".{target.name}.{secrets.token_hex(4)}{target.suffix}")
    Path(name).touch(exist_ok=False)  # as readable as any new file here, which one from tempfile is not
    try:
        yield name
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_beside(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a whole file, or none."""
    with beside(path) as name:
        Path(name).write_bytes(content)


def _write_npz(name: str, host: dict[str, Any], text: dict[str, str]) -> None:
    objects = [key for key, array in host.items() if array.dtype.hasobject]
    if objects:  # said here, not by allow_pickle=False: NumPy 2.0's savez takes that for one more array
        raise ValueError(f"{', '.join(objects[:3])}: arrays of Python objects would be pickles, and are not written")
    if text:
        host = host | {"__metadata__": np.array(json.dumps(text))}
    np.savez(name, **host)


def _writer(target: Path) -> Callable[[str, dict[str, Any], dict[str, str]], None]:
    if target.suffix == ".npz":
        return _write_npz
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: the name must end in .safetensors or .npz")
    save_file = _safetensors("safetensors.numpy").save_file
    return lambda name, host, text: save_file(host, name, metadata=text or None)


def load(path: str | os.PathLike[str]) -> tuple[State, dict[str, str]]:
    """The arrays of a ``.safetensors`` or ``.npz`` file (never pickles) and its metadata; ``ValueError`` if damaged."""
    target = Path(path)
    reader = {".npz": _read_npz, ".safetensors": _read_safetensors}.get(target.suffix)
    if reader is None:
        raise ValueError(f"{target}: the name must end in .safetensors or .npz")
    try:
        return reader(target)
    except (OSError, ImportError):
        raise
    except Exception as error:  # each format has its own, and damage is not always noticed by the reader itself
        raise ValueError(f"{target} cannot be read: {error}") from error


def _read_npz(target: Path) -> tuple[State, dict[str, str]]:
    with zipfile.ZipFile(target):  # np.load takes anything that is no archive for a pickle
        pass
    with np.load(target, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "__metadata__"}
        metadata = json.loads(str(file["__metadata__"])) if "__metadata__" in file.files else {}
    return arrays, metadata


def _read_safetensors(target: Path) -> tuple[State, dict[str, str]]:
    with _safetensors("safetensors").safe_open(str(target), framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def _safetensors(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            "files named .safetensors need the package safetensors (pip install 'unet-ref[safetensors]'); .npz needs none"
        ) from None


def _to_host(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array
