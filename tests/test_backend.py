"""How NumPy is set while an operation runs, and that it is set back."""

import threading

import numpy as np
import pytest

from unet_ref import backend


def test_operations_ask_for_short_buffers_and_leave_numpy_as_it_was():
    seen = []

    def probe():
        with backend.settings():
            seen.append((np.getbufsize(), np.geterr()["over"]))

    before = np.getbufsize(), np.geterr()
    thread = threading.Thread(target=probe)
    probe()
    thread.start()
    thread.join()
    assert seen == [(backend.BUFFER, "ignore")] * 2
    with pytest.raises(ZeroDivisionError), backend.settings():
        raise ZeroDivisionError
    assert (np.getbufsize(), np.geterr()) == before
