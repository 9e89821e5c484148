"""unet_ref: the executable reference for the U-Net family, forward and backward."""

from .errors import DTypeError, ShapeError
from .threads import get_num_threads, set_num_threads

__version__ = "0.1.0"
__all__ = ["DTypeError", "ShapeError", "__version__", "get_num_threads", "set_num_threads"]
