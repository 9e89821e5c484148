"""Links 1 and 2: every operation and its derivative, index by index, over any scalar type."""

from .adaptive_avg_pool2d import AdaptiveAvgPool2dGrads, adaptive_avg_pool2d, adaptive_avg_pool2d_backward
from .avg_pool2d import AvgPool2dGrads, avg_pool2d, avg_pool2d_backward
from .batch_norm import BatchNormGrads, batch_norm, batch_norm_backward
from .batch_norm_running_stats import BatchNormRunningStats, batch_norm_running_stats
from .binary_cross_entropy_with_logits import (
    BinaryCrossEntropyWithLogitsGrads,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
)
from .center_crop2d import CenterCrop2dGrads, center_crop2d, center_crop2d_backward
from .concat import concat, concat_backward
from .conv2d import Conv2dGrads, conv2d, conv2d_backward
from .conv_transpose2d import ConvTranspose2dGrads, conv_transpose2d, conv_transpose2d_backward
from .cross_entropy import CrossEntropyGrads, cross_entropy, cross_entropy_backward
from .film import FilmGrads, film, film_backward
from .gelu import GeluGrads, gelu, gelu_backward
from .glu import GluGrads, glu, glu_backward
from .group_norm import GroupNormGrads, group_norm, group_norm_backward
from .linear import LinearGrads, linear, linear_backward
from .max_pool2d import MaxPool2dGrads, max_pool2d, max_pool2d_backward
from .mse_loss import MseLossGrads, mse_loss, mse_loss_backward
from .pad2d import Pad2dGrads, pad2d, pad2d_backward
from .relu import ReluGrads, relu, relu_backward
from .sigmoid import SigmoidGrads, sigmoid, sigmoid_backward
from .upsample_bilinear2d import UpsampleBilinear2dGrads, upsample_bilinear2d, upsample_bilinear2d_backward
from .upsample_nearest2d import UpsampleNearest2dGrads, upsample_nearest2d, upsample_nearest2d_backward

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
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_running_stats",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "center_crop2d",
    "center_crop2d_backward",
    "concat",
    "concat_backward",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "film",
    "film_backward",
    "gelu",
    "gelu_backward",
    "glu",
    "glu_backward",
    "group_norm",
    "group_norm_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mse_loss",
    "mse_loss_backward",
    "pad2d",
    "pad2d_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "upsample_bilinear2d",
    "upsample_bilinear2d_backward",
    "upsample_nearest2d",
    "upsample_nearest2d_backward",
]
