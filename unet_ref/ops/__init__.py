"""Link 3: the operations on arrays, forward and backward, NumPy or CuPy from one source."""

from ..spec import (
    AdaptiveAvgPool2dGrads,
    AvgPool2dGrads,
    BatchNormGrads,
    BatchNormRunningStats,
    CenterCrop2dGrads,
    Conv2dGrads,
    ConvTranspose2dGrads,
    FilmGrads,
    GroupNormGrads,
    LinearGrads,
    MaxPool2dGrads,
    Pad2dGrads,
    UpsampleBilinear2dGrads,
    UpsampleNearest2dGrads,
)
from .adaptive_avg_pool2d import adaptive_avg_pool2d, adaptive_avg_pool2d_backward, adaptive_avg_pool2d_shape
from .avg_pool2d import avg_pool2d, avg_pool2d_backward, avg_pool2d_shape
from .batch_norm import batch_norm, batch_norm_backward
from .batch_norm_running_stats import batch_norm_running_stats
from .center_crop2d import center_crop2d, center_crop2d_backward, center_crop2d_shape
from .conv2d import conv2d, conv2d_backward, conv2d_shape
from .conv_transpose2d import conv_transpose2d, conv_transpose2d_backward, conv_transpose2d_shape
from .film import film, film_backward
from .group_norm import group_norm, group_norm_backward
from .linear import linear, linear_backward, linear_shape
from .max_pool2d import max_pool2d, max_pool2d_backward, max_pool2d_shape
from .pad2d import pad2d, pad2d_backward, pad2d_shape
from .upsample_bilinear2d import upsample_bilinear2d, upsample_bilinear2d_backward, upsample_bilinear2d_shape
from .upsample_nearest2d import upsample_nearest2d, upsample_nearest2d_backward, upsample_nearest2d_shape

__all__ = [
    "AdaptiveAvgPool2dGrads",
    "AvgPool2dGrads",
    "BatchNormGrads",
    "BatchNormRunningStats",
    "CenterCrop2dGrads",
    "Conv2dGrads",
    "ConvTranspose2dGrads",
    "FilmGrads",
    "GroupNormGrads",
    "LinearGrads",
    "MaxPool2dGrads",
    "Pad2dGrads",
    "UpsampleBilinear2dGrads",
    "UpsampleNearest2dGrads",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool2d_shape",
    "avg_pool2d",
    "avg_pool2d_backward",
    "avg_pool2d_shape",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_running_stats",
    "center_crop2d",
    "center_crop2d_backward",
    "center_crop2d_shape",
    "conv2d",
    "conv2d_backward",
    "conv2d_shape",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose2d_shape",
    "film",
    "film_backward",
    "group_norm",
    "group_norm_backward",
    "linear",
    "linear_backward",
    "linear_shape",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_shape",
    "pad2d",
    "pad2d_backward",
    "pad2d_shape",
    "upsample_bilinear2d",
    "upsample_bilinear2d_backward",
    "upsample_bilinear2d_shape",
    "upsample_nearest2d",
    "upsample_nearest2d_backward",
    "upsample_nearest2d_shape",
]
