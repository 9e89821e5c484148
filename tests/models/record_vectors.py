"""Records what PyTorch computes for whole networks, so that the suite compares with it where PyTorch is not installed.

    pip install -e '.[test]' torch==2.13.0
    python tests/models/record_vectors.py

For every network a compressed ``vectors/NAME.npz``: two cases, one in training and one in evaluation mode, with state,
inputs, upstream gradient, output, every gradient and the buffers afterwards, in float64, from the twins that were
written from the seeds (``torch_twins.py``); and ``vectors/manifest.json`` with the versions, the seed and the SHA-256
of each file. The tensors of a state lie in one long array, in its order; of gradients of more than 200 elements about
200 are kept (``twin_cases.thin``). The same versions give the same files.
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
VECTORS = HERE / "vectors"
sys.path.insert(0, str(HERE.parent))
from models import torch_twins
from models.twin_cases import Case, build, random_inputs, random_state, thin

from unet_ref.models import UNet2Config

SEED = 2026
ODD = {"base_channels": 3, "conv_kernel": 2, "up_padding": 2, "head_kernel": 3, "head_stride": 2, "head_padding": 1}
FILM = {"in_channels": 3, "weather_channels": 4, "base_channels": 1, "film_hidden": 5}
CONTEXT = {"in_channels": 2, "n_feat": 8, "n_cfeat": 3, "height": 16}
PLAIN = {"in_channels": 2, "num_classes": 3, "base_channels": 2, "depth": 2}

# network -> options, shapes, training
CASES: dict[str, list[tuple[dict[str, Any], tuple[Any, ...], bool]]] = {
    "unet2": [({"config": {"base_channels": 3}}, ((2, 1, 6, 8),), True), ({"config": ODD}, ((1, 8, 6),), False)],
    "unet_film": [(FILM, ((3, 3, 16, 32), (3, 4)), True), (FILM, ((3, 32, 16), (4,)), False)],
    "resnet50": [
        ({"base_channels": 1, "num_classes": 5}, ((2, 3, 48, 57),), True),
        ({"base_channels": 1, "num_classes": 5}, ((3, 45, 40),), False),
    ],
    "resnet_unet": [({"base_channels": 1}, ((2, 1, 32, 48),), True), ({"base_channels": 1}, ((1, 48, 32),), False)],
    "context_unet": [
        (CONTEXT, ((2, 2, 16, 16), (2, 1), (2, 3)), True),
        (CONTEXT | {"height": 20}, ((2, 20, 20), (1,), None), False),
    ],
    "unet": [(PLAIN, ((2, 2, 8, 12),), True), (PLAIN | {"padding": 0}, ((2, 44, 48),), False)],
}


def main() -> None:
    """Writes all files."""
    assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
    VECTORS.mkdir(exist_ok=True)
    checksums = {}
    for name in CASES:
        path = VECTORS / f"{name}.npz"
        np.savez_compressed(path, **record(name))
        checksums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{path.name}: {path.stat().st_size} bytes")
    manifest = {"torch": "2.13.0", "numpy": np.__version__, "seed": SEED, "sha256": checksums}
    (VECTORS / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def record(name: str) -> dict[str, Any]:
    """``{k}/state``, ``{k}/input.NAME``, ``{k}/grad_output``, ``{k}/output``, ``{k}/param``, ... for case k."""
    rng = np.random.default_rng([SEED, sorted(CASES).index(name)])
    entries: dict[str, Any] = {}
    described = []
    for k, (options, shapes, training) in enumerate(CASES[name]):
        case = Case(name, built(options), shapes)
        model = build(case)
        twin = torch_twins.build(name, case.options)
        state = {key: short(array) for key, array in random_state(model, rng).items()}
        inputs = {key: short(array) for key, array in random_inputs(model, case, rng).items()}
        grad_output = short(rng.standard_normal(model.output_shape(*shapes)))
        found = torch_twins.run(twin, state, inputs, grad_output, training=training)
        made = {"state": pack(state), "grad_output": grad_output, "output": found["output"]}
        made |= {f"input.{key}": array for key, array in inputs.items() if array is not None}
        made |= {f"grad.{key}": thin(found[f"input.{key}"]) for key, array in inputs.items() if array is not None}
        made["param"] = pack({n: thin(a) for n, a in found.items() if n.startswith("param.")})
        made["buffer"] = pack({n: a for n, a in found.items() if n.startswith("buffer.")})
        entries |= {f"{k}/{key}": array for key, array in made.items()}
        shapes_of_state = {key: list(array.shape) for key, array in twin.state_dict().items()}
        described.append({"options": options, "training": training, "state": shapes_of_state})
    return {"cases": np.array(json.dumps(described)), **entries}


def built(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the configuration as the network takes it."""
    return {key: UNet2Config(**value) if key == "config" else value for key, value in options.items()}


def short(array: Any) -> Any:
    """Numbers of few digits: they compress. Integers and absent inputs stay."""
    return array if array is None or array.dtype.kind != "f" else np.round(array * 64) / 64


def pack(arrays: dict[str, Any]) -> Any:
    """All of them one after another."""
    return np.concatenate([np.ravel(array).astype("float64") for array in arrays.values()] or [np.zeros(0)])


if __name__ == "__main__":
    main()
