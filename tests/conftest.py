"""What all tests share."""

import importlib.util
import os

import numpy as np
import pytest
from hypothesis import settings

# One deadline for all: none. A busy machine is no failure. In CI Hypothesis also draws the same examples every time.
settings.register_profile("steady", settings.get_profile("ci" if "CI" in os.environ else "default"), deadline=None)
settings.load_profile("steady")


# Helpers that import PyTorch: where there is none, pytest shall not look for doctests in them.
if importlib.util.find_spec("torch") is None:
    collect_ignore = ["torch_adapters.py", "vectors/record.py", "models/torch_twins.py", "models/record_vectors.py"]


@pytest.fixture
def rng():
    """A generator that starts alike in every test."""
    return np.random.default_rng(20_26)


def pytest_runtest_setup(item):
    """Tests marked ``torch`` or ``gpu`` run where there is one."""
    if item.get_closest_marker("torch") and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed: pip install torch")
    if item.get_closest_marker("gpu") and (reason := no_device()):
        pytest.skip(reason)


def no_device():
    """Why there is no CUDA device to test on; empty where there is one."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed: pip install 'unet-ref[cuda13]' or 'unet-ref[cuda12]'"
    import cupy

    try:
        return "" if cupy.cuda.runtime.getDeviceCount() else "there is no CUDA device"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"there is no CUDA device: {error}"
