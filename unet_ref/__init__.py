"""unet_ref: the executable reference for the U-Net family, forward and backward."""

from typing import Any

from .errors import DTypeError, ShapeError
from .threads import get_num_threads, set_num_threads

__version__ = "0.1.0"
__all__ = ["DTypeError", "ShapeError", "__version__", "get_num_threads", "gradcheck", "set_num_threads"]


def __getattr__(name: str) -> Any:
    """``unet_ref.gradcheck``, imported when somebody asks for it: the package itself stays quick to import."""
    if name == "gradcheck":
        from .check import gradcheck  # noqa: PLC0415

        return gradcheck
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
