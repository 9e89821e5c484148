"""``unet-ref doctor``: what is installed, and what slows it down."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
from typing import Any

import numpy as np

from .. import __version__
from .console import HOLDS

OPTIONAL = (
    "cupy",
    "torch",
    "jax",
    "onnx",
    "onnxruntime",
    "mpmath",
    "dask",
    "safetensors",
    "matplotlib",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found."""
    found = examine()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return HOLDS
    width = max(map(len, found))
    for name, value in found.items():
        values = value if isinstance(value, list) else [value]
        for k, item in enumerate(values or ["none"]):
            print(f"{name if k == 0 else '':<{width}}  {item}")
    return HOLDS


def examine() -> dict[str, Any]:
    """Everything that a report of a wrong or slow result should say."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "unet_ref": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "scipy": _version("scipy"),
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "blas kernel": _kernels(),
        "cores": f"{_cores()} usable of {os.cpu_count()}",
        "optional": [f"{name} {_version(name)}" for name in OPTIONAL if _version(name) != "not installed"],
        "gpu": _gpu(),
        "advice": _advice(),
    }


def _version(name: str) -> str:
    for distribution in (name, f"{name}-cuda13x", f"{name}-cuda12x"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _kernels() -> list[str]:
    from threadpoolctl import threadpool_info  # noqa: PLC0415 - the command's other parts need not wait for it

    np.zeros((2, 2)) @ np.zeros((2, 2))  # so that the library is loaded
    return [
        f"{lib['internal_api']} {lib.get('version')} {lib.get('architecture', '')}, {lib['num_threads']} threads"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    ]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu() -> str:
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return "CuPy is not installed (pip install 'unet-ref[cuda13]' or 'unet-ref[cuda12]')"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        names = [cupy.cuda.runtime.getDeviceProperties(k)["name"].decode() for k in range(count)]
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy {cupy.__version__} sees no device ({error})"
    return f"CuPy {cupy.__version__} on {', '.join(names)}"


def _advice() -> list[str]:
    overrides = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    return [
        f"{name}={os.environ[name]} overrides OpenBLAS's choice of kernel and can halve its speed: unset it"
        for name in overrides
    ]
