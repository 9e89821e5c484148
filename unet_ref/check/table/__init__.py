"""The table of operations: the one list that the checker, the tests, the judge, the docs and the command go through."""

from ..operation import Operation
from .activation import ACTIVATION
from .convolution import CONVOLUTION
from .loss import LOSS
from .normalization import NORMALIZATION
from .pooling import POOLING
from .resampling import RESAMPLING

OPERATIONS: dict[str, Operation] = {
    row.name: row for row in (*CONVOLUTION, *POOLING, *NORMALIZATION, *ACTIVATION, *RESAMPLING, *LOSS)
}
