"""One file with everything that a run of a network made, so that another implementation can be held against it.

Names: ``state.NAME``, ``input.NAME``, ``activation.NAME``, ``output``, ``grad_output``, ``grad.param.NAME``,
``grad.input.NAME``, ``grad.activation.NAME``. The order of the steps, the recipe (model, options, seed, dtype, mode,
versions) and a checksum are in the metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from . import state as states
from .model import Model

FORMAT = "unet_ref export 1"


def record(
    model: Model, state: states.State, inputs: Mapping[str, Any], grad_output: Any, *, training: bool
) -> tuple[dict[str, Any], list[str]]:
    """All tensors of one forward and backward pass by their exported names, and the names of the steps in order."""
    trace = model.trace(state, *(inputs.get(name) for name in model.inputs), training=training, record="all")
    grads = model.backward(state, trace, grad_output, record=True)
    parts: dict[str, Mapping[str, Any]] = {
        "state": state,
        "input": {name: a for name, a in inputs.items() if a is not None},
        "activation": dict(trace),
        "buffer": trace.buffers if training else {},
        "grad.param": grads.params,
        "grad.input": {name: g for name, g in grads.inputs.items() if g is not None},
        "grad.activation": {name: grads.activations[name] for name in trace.steps if name in grads.activations},
    }
    tensors = {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}
    return {**tensors, "output": trace.output, "grad_output": grad_output}, list(trace.steps)


def export(
    path: str | os.PathLike[str], name: str, options: Mapping[str, int], model: Model, shape: tuple[int, ...], *,
    dtype: Any = "float32", seed: int = 0, training: bool = True, scheme: str = "torch", state: states.State | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run the network at random inputs (and, without ``state``, a random state) and write all of it to ``path``."""
    rng = np.random.default_rng(seed)
    drawn = state is None
    state = model.init(rng, dtype, scheme) if state is None else state
    shapes = model.all_shapes([shape])
    inputs = {n: rng.standard_normal(s or ()).astype(dtype) for n, s in zip(model.inputs, shapes, strict=True)}
    grad_output = rng.standard_normal(model.output_shape(*shapes)).astype(dtype)
    tensors, steps = record(model, state, inputs, grad_output, training=training)
    recipe = {
        "model": name, "options": dict(options), "input": list(shape), "seed": seed, "dtype": str(np.dtype(dtype)),
        "training": training, "scheme": scheme if drawn else None,  # None: the state was given, not drawn
        "versions": {"unet_ref": __version__, "numpy": np.__version__},
    }  # fmt: skip
    metadata = {"format": FORMAT, "recipe": recipe, "steps": steps, "sha256": checksum(tensors)}
    states.save(path, tensors, metadata)
    return tensors


def checksum(tensors: Mapping[str, Any]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {np.shape(tensors[name])}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An export's tensors and metadata; ``ValueError`` where it is none, or where a byte of it has changed."""
    tensors, text = states.load(path)
    if text.get("format") != FORMAT:
        raise ValueError(f"{os.fspath(path)} is no export of unet_ref (its metadata lacks format={FORMAT!r})")
    metadata = {**text, "recipe": json.loads(text["recipe"]), "steps": json.loads(text["steps"])}
    if checksum(tensors) != metadata["sha256"]:
        raise ValueError(f"{os.fspath(path)}: the checksum does not fit its contents: the file was changed or damaged")
    return tensors, metadata


def read_other(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Another implementation's tensors: ``.safetensors``, ``.npz``, or a folder of ``.npy`` files named like tensors."""
    target = Path(path)
    if not target.is_dir():
        return states.load(target)[0]
    found = {file.name.removesuffix(".npy"): np.load(file, allow_pickle=False) for file in sorted(target.glob("*.npy"))}
    if not found:
        raise ValueError(f"{target}: the folder holds no .npy files")
    return found
