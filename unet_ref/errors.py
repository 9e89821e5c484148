"""The two errors that bad input raises: one full sentence each, with the operation, the rule and the values."""


class ShapeError(ValueError):
    """Sizes that do not fit: ``conv2d: weight.shape[1] (3) must equal x.shape[1] / groups (8 / 2 = 4)``."""


class DTypeError(TypeError):
    """An array of a kind, dtype or device that an operation does not take; nothing is ever cast silently."""
