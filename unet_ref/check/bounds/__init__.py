"""The computed error bounds, a file for each family of operations; ``error_bound`` is how to ask for them."""

from .activation import gelu, glu, sigmoid
from .convolution import conv2d, conv_transpose2d, linear
from .copying import center_crop2d, concat, pad2d, relu
from .family import Choice, Errors, Family, Given
from .loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from .normalization import batch_norm, batch_norm_running_stats, film, group_norm
from .pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from .profiles import PROFILES, Profile, profile_of
from .resampling import upsample_bilinear2d, upsample_nearest2d

__all__ = ["FAMILIES", "PROFILES", "Choice", "Errors", "Given", "Profile", "profile_of"]

FAMILIES: dict[str, Family] = {
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "linear": linear,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "concat": concat,
    "relu": relu,
    "center_crop2d": center_crop2d,
    "pad2d": pad2d,
    "upsample_nearest2d": upsample_nearest2d,
    "upsample_bilinear2d": upsample_bilinear2d,
    "batch_norm": batch_norm,
    "batch_norm_running_stats": batch_norm_running_stats,
    "group_norm": group_norm,
    "film": film,
    "sigmoid": sigmoid,
    "gelu": gelu,
    "glu": glu,
    "mse_loss": mse_loss,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "cross_entropy": cross_entropy,
}
