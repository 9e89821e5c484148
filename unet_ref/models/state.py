"""States: dictionaries of arrays with PyTorch's names and layouts; made, checked, written and read."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..errors import ShapeError
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
    wrong = [
        f"{name} is {tuple(state[name].shape)} and must be {shape}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    floating = {str(state[n].dtype) for n in expected if n in state and not n.endswith("num_batches_tracked")}
    problems = [
        *_listed("missing", missing),
        *_listed("unexpected", unexpected),
        *_listed("of the wrong shape", wrong),
        *_listed("of several dtypes", sorted(floating) if len(floating) > 1 else []),
    ]
    if problems:
        raise StateError(f"{who}: the state does not fit: " + "; ".join(problems))
    return unused


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
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix)
    os.close(handle)
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
    if text:
        host = host | {"__metadata__": np.array(json.dumps(text))}
    np.savez(name, allow_pickle=False, **host)


def _writer(target: Path) -> Callable[[str, dict[str, Any], dict[str, str]], None]:
    if target.suffix == ".npz":
        return _write_npz
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: the name must end in .safetensors or .npz")
    from safetensors.numpy import save_file  # noqa: PLC0415 - optional

    return lambda name, host, text: save_file(host, name, metadata=text or None)


def load(path: str | os.PathLike[str]) -> tuple[State, dict[str, str]]:
    """The arrays of a ``.safetensors`` or ``.npz`` file (never pickles) and its metadata."""
    target = Path(path)
    if target.suffix == ".npz":
        with np.load(target, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "__metadata__"}
            metadata = json.loads(str(file["__metadata__"])) if "__metadata__" in file.files else {}
        return arrays, metadata
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: the name must end in .safetensors or .npz")
    from safetensors import safe_open  # noqa: PLC0415 - optional

    with safe_open(str(target), framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def _to_host(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array
