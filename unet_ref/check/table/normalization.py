"""Rows of the table of operations: normalization."""

from ..operation import Operation

NORMALIZATION: tuple[Operation, ...] = ()
