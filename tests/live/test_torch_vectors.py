"""The recorder still records what was recorded: nothing of it has changed since, and PyTorch gives these numbers."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="recording vectors needs PyTorch: pip install torch")
from vectors import record

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", sorted(record.ADAPTERS))
def test_recording_again_gives_the_recorded_numbers(name):
    with np.load(Path(record.__file__).parent / f"{name}.npz") as recorded:
        again = record.record(name)
        assert set(again) == set(recorded)
        assert str(again["cases"]) == str(recorded["cases"])
        for key in set(again) - {"cases"}:
            np.testing.assert_allclose(again[key], recorded[key], rtol=1e-12, atol=1e-12, err_msg=key)
