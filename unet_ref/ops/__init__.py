"""Link 3: the operations on arrays, forward and backward, NumPy or CuPy from one source."""

from ..spec import (
    AdaptiveAvgPool2dGrads,
    AvgPool2dGrads,
    BatchNormGrads,
    BatchNormRunningStats,
    BinaryCrossEntropyWithLogitsGrads,
    CenterCrop2dGrads,
    Conv2dGrads,
    ConvTranspose2dGrads,
    CrossEntropyGrads,
    FilmGrads,
    GeluGrads,
    GluGrads,
    GroupNormGrads,
    LinearGrads,
    MaxPool2dGrads,
    MseLossGrads,
    Pad2dGrads,
    ReluGrads,
    SigmoidGrads,
    UpsampleBilinear2dGrads,
    UpsampleNearest2dGrads,
)
from .adaptive_avg_pool2d import adaptive_avg_pool2d, adaptive_avg_pool2d_backward, adaptive_avg_pool2d_shape
from .avg_pool2d import avg_pool2d, avg_pool2d_backward, avg_pool2d_shape
from .batch_norm import batch_norm, batch_norm_backward
from .batch_norm_running_stats import batch_norm_running_stats
from .binary_cross_entropy_with_logits import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_shape,
)
from .center_crop2d import center_crop2d, center_crop2d_backward, center_crop2d_shape
from .concat import concat, concat_backward, concat_shape
from .conv2d import conv2d, conv2d_backward, conv2d_shape
from .conv_transpose2d import conv_transpose2d, conv_transpose2d_backward, conv_transpose2d_shape
from .cross_entropy import cross_entropy, cross_entropy_backward, cross_entropy_shape
from .film import film, film_backward
from .gelu import gelu, gelu_backward
from .glu import glu, glu_backward, glu_shape
from .group_norm import group_norm, group_norm_backward
from .linear import linear, linear_backward, linear_shape
from .max_pool2d import max_pool2d, max_pool2d_backward, max_pool2d_shape
from .mse_loss import mse_loss, mse_loss_backward, mse_loss_shape
from .pad2d import pad2d, pad2d_backward, pad2d_shape
from .relu import relu, relu_backward
from .sigmoid import sigmoid, sigmoid_backward
from .upsample_bilinear2d import upsample_bilinear2d, upsample_bilinear2d_backward, upsample_bilinear2d_shape
from .upsample_nearest2d import upsample_nearest2d, upsample_nearest2d_backward, upsample_nearest2d_shape

__all__ = [
    "AdaptiveAvgPool2dGrads",
    "AvgPool2dGrads",
    "BatchNormGrads",
    "BatchNormRunningStats",
    "BinaryCrossEntropyWithLogitsGrads",
    "CenterCrop2dGrads",
    "Conv2dGrads",
    "ConvTranspose2dGrads",
    "CrossEntropyGrads",
    "FilmGrads",
    "GeluGrads",
    "GluGrads",
    "GroupNormGrads",
    "LinearGrads",
    "MaxPool2dGrads",
    "MseLossGrads",
    "Pad2dGrads",
    "ReluGrads",
    "SigmoidGrads",
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
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "binary_cross_entropy_with_logits_shape",
    "center_crop2d",
    "center_crop2d_backward",
    "center_crop2d_shape",
    "concat",
    "concat_backward",
    "concat_shape",
    "conv2d",
    "conv2d_backward",
    "conv2d_shape",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose2d_shape",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_shape",
    "film",
    "film_backward",
    "gelu",
    "gelu_backward",
    "glu",
    "glu_backward",
    "glu_shape",
    "group_norm",
    "group_norm_backward",
    "linear",
    "linear_backward",
    "linear_shape",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_shape",
    "mse_loss",
    "mse_loss_backward",
    "mse_loss_shape",
    "pad2d",
    "pad2d_backward",
    "pad2d_shape",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "upsample_bilinear2d",
    "upsample_bilinear2d_backward",
    "upsample_bilinear2d_shape",
    "upsample_nearest2d",
    "upsample_nearest2d_backward",
    "upsample_nearest2d_shape",
]
