"""Arrays that remember how they were made, so that a gradient can be had without a rule for any operation.

A gradient is a complex step for every number of a leaf: everything after it is made again. It shares nothing with the
backward passes that it is held against.
"""

import numpy as np

STEP = 1e-30


class Value:
    """An array, and the function and values that it was made by."""

    def __init__(self, array, function=None, parents=()):
        self.array, self.function, self.parents = np.asarray(array), function, parents

    def again(self, leaf, instead):
        """The same with another array in place of one leaf, all in complex numbers."""
        if self is leaf:
            return instead
        if self.function is None:
            return self.array.astype(complex) if self.array.dtype.kind == "f" else self.array
        return self.function(*(renewed(parent, leaf, instead) for parent in self.parents))

    def comes_from(self, leaf):
        """Whether the leaf had a part in it."""
        return self is leaf or any(
            each.comes_from(leaf)
            for parent in self.parents
            for each in (parent if isinstance(parent, tuple) else (parent,))
            if isinstance(each, Value)
        )


def renewed(parent, leaf, instead):
    if isinstance(parent, tuple):
        return tuple(renewed(each, leaf, instead) for each in parent)
    return parent.again(leaf, instead) if isinstance(parent, Value) else parent


def slopes(function, array, upstream):
    """The gradient of ``(function(array) * upstream).sum()``."""
    found = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        moved = array.astype(complex)
        moved[index] += 1j * STEP
        found[index] = (np.imag(function(moved)) / STEP * upstream).sum()
    return found
