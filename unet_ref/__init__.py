"""unet_ref: the executable reference for the U-Net family, forward and backward."""

from .errors import DTypeError, ShapeError

__version__ = "0.1.0"
__all__ = ["DTypeError", "ShapeError", "__version__"]
