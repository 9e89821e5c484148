"""Operations that are wrong on purpose: what the checker must reject."""

from .convolutions import MISTAKES as CONVOLUTIONS
from .norms import MISTAKES as NORMS
from .pointwise import MISTAKES as POINTWISE
from .poolings import MISTAKES as POOLINGS

MISTAKES = [*CONVOLUTIONS, *POOLINGS, *NORMS, *POINTWISE]
