"""Real bugs as they shipped: a mistake of the bank, made only where it was made, in the tensors that it was seen in.

A bug that shows only where groups meet strides survives most tests; so these, and not only the bare mistakes, are planted
in the designed cases (``docs/kills.md``). Where an issue does not tell the wrong formula, the mistake is the nearest one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..mistake import Arguments, Base, Results, right
from . import BANK
from .tools import batched, first_array, pair

Test = Callable[[Arguments], bool]


class Where(NamedTuple):
    """The arguments at which a bug shows."""

    words: str
    holds: Test

    def __and__(self, other: Where) -> Where:
        return Where(f"{self.words}, {other.words}", lambda a: self.holds(a) and other.holds(a))


def option(words: str, name: str, test: Callable[[Any], bool], default: Any) -> Where:
    """Where an option has certain values."""
    return Where(words, lambda a: test(a.options.get(name, default)))


def above(name: str, least: int) -> Where:
    """Where an option, one of its two numbers at the least, is above its neutral value."""
    return option(f"{name.replace('_', ' ')} above {least}", name, lambda v: v is not None and max(pair(v)) > least, 0)


def samples(count: int) -> Where:
    """Where there are many samples."""
    return Where(f"{count:,} samples and more", lambda a: batched(a) and len(first_array(a)) >= count)


def channels(words: str, test: Callable[[int], bool]) -> Where:
    """Where the number of input channels is special."""
    return Where(words, lambda a: test(first_array(a).shape[-3]))


def _channels_last(arguments: Arguments) -> bool:
    x = first_array(arguments)
    return bool(x.ndim == 4 and not x.flags.c_contiguous and x.transpose(0, 2, 3, 1).flags.c_contiguous)


def _fractional(scale: Any) -> bool:
    return scale is not None and any(s % 1 for s in pair(scale))


ANYWHERE = Where("everywhere", lambda a: True)
GROUPS, STRIDE, DILATION = above("groups", 1), above("stride", 1), above("dilation", 1)
OUTPUT_PADDING = above("output_padding", 0)
DEPTHWISE = Where(
    "a group for each channel", lambda a: GROUPS.holds(a) and a.options["groups"] == first_array(a).shape[-3]
)
POINTWISE = Where("kernel 1x1", lambda a: a.arrays["weight"].shape[-2:] == (1, 1))
CHANNELS_LAST = Where("channels-last memory", _channels_last)
NOT_CONTIGUOUS = Where("grad_output not contiguous", lambda a: not a.grad_output.flags.c_contiguous)
EVALUATION = option("evaluation", "training", lambda training: not training, True)
NEGATIVE_AXIS = option("negative axis", "axis", lambda axis: axis < 0, 1)
FRACTIONAL = option("fractional scale", "scale_factor", _fractional, None)
NEAR_ONE = option("scale near 1", "scale_factor", lambda s: s is not None and 1 < min(pair(s)) < 1.1, None)
EMPTY = Where("an empty array", lambda a: any(0 in array.shape for array in a.arrays["arrays"]))


class Shipped(NamedTuple):
    """One bug: where it was reported, in which operation, which mistake it is, where it shows.

    ``tensors``: those that it spoils, by default all that the mistake does; ``profile``: the arithmetic it shipped in.
    """

    issues: str
    operation: str
    mistake: str
    where: Where = ANYWHERE
    tensors: tuple[str, ...] = ()
    profile: str = "float32"

    def __call__(self, arguments: Arguments, base: Base = right) -> Results | None:
        """The results with this bug; ``None`` where it does not show."""
        if not self.where.holds(arguments):
            return None
        (mistake,) = (each for each in BANK if each.name == self.mistake)
        wrong = mistake(arguments, base)
        if wrong is None or not self.tensors:
            return wrong
        fine = base(arguments)
        grads = fine.grads | {name: wrong.grads[name] for name in self.tensors if name in wrong.grads}
        return Results(wrong.output if "output" in self.tensors else fine.output, grads)


SHIPPED = (
    Shipped("pytorch#50042", "conv2d", "weight gradient of the last kernel row misses an output row",
            DEPTHWISE & channels("24 channels", lambda c: c == 24) & STRIDE),
    Shipped("pytorch#51430", "conv2d", "weight gradient pairs the wrong groups", GROUPS),
    Shipped("mlx#3800", "conv2d", "every group reads the first", GROUPS & STRIDE, ("x",)),
    Shipped("mlx#2495", "conv2d", "weight read with inputs and outputs exchanged", GROUPS, ("x",)),
    Shipped("composable_kernel#2478", "conv2d", "weight gradient pairs the wrong groups",
            POINTWISE & GROUPS & channels("an even number of channels", lambda c: c % 2 == 0)),
    Shipped("burn#1891", "conv2d", "weight gradient pairs the wrong groups", DEPTHWISE & STRIDE),
    Shipped("jax#567 jax#563", "conv2d", "dilation ignored", DILATION, ("x",)),
    Shipped("jax#384", "conv2d", "weight read with inputs and outputs exchanged", ANYWHERE, ("x",)),
    Shipped("tensorflow#18454", "conv2d", "dilation ignored", DILATION),
    Shipped("tensorflow#9870", "conv2d", "output ends early", samples(65_536)),
    Shipped("pytorch#96225", "conv2d", "gradient ends early", samples(65_536)),
    Shipped("pytorch#59515", "conv2d", "output ends early", samples(1_251), (), "float16"),
    Shipped("cTensor#3", "conv2d", "weight gradient averaged over samples and pixels"),
    Shipped("coursera#34", "conv2d", "stride ignored", STRIDE, ("x", "weight")),
    Shipped("mlx#1826", "conv2d", "kernel flipped", ANYWHERE, ("x", "weight")),
    Shipped("mlx#1449", "conv2d", "kernel flipped", GROUPS),
    Shipped("mxnet#11203", "conv_transpose2d", "output not accumulated over overlaps", STRIDE & DILATION),
    Shipped("mxnet#11203", "conv_transpose2d", "stride and dilation exchanged", STRIDE & DILATION),
    Shipped("tvm#19524 tvm#5758", "conv_transpose2d", "output padding filled with zeros", OUTPUT_PADDING),
    Shipped("pytorch/xla#2333", "conv_transpose2d", "output padding left out", OUTPUT_PADDING),
    Shipped("pytorch#14272 pytorch#43793", "conv_transpose2d", "dilation left out", OUTPUT_PADDING & DILATION),
    Shipped("onnxruntime#9370", "conv_transpose2d", "padding sides swapped"),
    Shipped("onnxruntime#4086 onnxruntime#11927", "conv_transpose2d", "padding ignored"),
    Shipped("onnxruntime#4698", "conv_transpose2d", "padding left out"),
    Shipped("onnxruntime#2518", "conv_transpose2d", "dilation left out", STRIDE & DILATION),
    Shipped("pytorch#5112", "conv_transpose2d", "dilation ignored", OUTPUT_PADDING & DILATION, ("x", "weight")),
    Shipped("bayesian-torch#34", "conv_transpose2d", "groups and dilation exchanged"),
    Shipped("executorch#21686 executorch#21878", "max_pool2d", "gradient added to what the buffer held"),
    Shipped("pytorch#45357", "max_pool2d", "ceil mode window outside the image"),
    Shipped("pytorch#1465", "max_pool2d", "no gradient where the largest is nan"),
    Shipped("pytorch#1465", "max_pool2d", "nan lost"),
    Shipped("tinygrad#12296", "max_pool2d", "ties share the gradient", ANYWHERE, (), "float16"),
    Shipped("tensorflow#22025 tensorflow#33403 tensorflow#24067", "max_pool2d", "choice of the first sample for all"),
    Shipped("cunn#68 cunn#199", "max_pool2d", "grad output read as contiguous", NOT_CONTIGUOUS),
    Shipped("cunn#68 cunn#199", "avg_pool2d", "grad output read as contiguous", NOT_CONTIGUOUS),
    Shipped("tensorflow#118673", "max_pool2d", "no gradient where the largest is nan"),
    Shipped("pytorch#175189", "batch_norm", "input read as contiguous", CHANNELS_LAST, ("weight",)),
    Shipped("pytorch/xla#913 pytorch#586 mxnet#9580", "batch_norm", "backward of training in evaluation", EVALUATION),
    Shipped("chainer#2214", "batch_norm", "eps missing", EVALUATION),
    Shipped("chainer#4505 chainer#7506", "batch_norm", "eps added twice"),
    Shipped("MIOpen#1109", "batch_norm", "gradient ends early", samples(769)),
    Shipped("mxnet#21111 keras#8982 tt-metal#55438", "batch_norm_running_stats", "running variance biased"),
    Shipped("tt-metal#45968 dlib#3113 openvino#36587 tensorflow#25115", "batch_norm", "variance in one pass"),
    Shipped("pytorch#54293", "group_norm", "variance in one pass"),
    Shipped("PyTorch 2.13 on a CPU", "group_norm", "variance in one pass", CHANNELS_LAST),
    Shipped("CRADLE: CNTK under Keras", "batch_norm", "eps outside the root"),
    Shipped("tt-metal#56202", "group_norm", "weight gradient from the wrong group"),
    Shipped("oneDNN#3543", "group_norm", "weight taken out of the sums"),
    Shipped("pytorch#140913", "group_norm", "weight gradient from the wrong group", CHANNELS_LAST, (), "bfloat16"),
    Shipped("mlx#3908", "upsample_bilinear2d", "corners aligned", FRACTIONAL),
    Shipped("FlagGems#5216", "upsample_bilinear2d", "ratio from the sizes", FRACTIONAL),
    Shipped("pytorch#65200", "upsample_bilinear2d", "ratio from the sizes", NEAR_ONE, ("x",)),
    Shipped("tensorflow#47724", "gelu", "three forgotten in the slope"),
    Shipped("pytorch#186278", "gelu", "nan far from zero", ANYWHERE, (), "bfloat16"),
    Shipped("executorch#22323", "gelu", "nan far from zero"),
    Shipped("tfjs-core#1267 swift-apis#23649 pytorch#1213", "concat", "gradient split without the offset", NEGATIVE_AXIS),
    Shipped("mlx#4444", "center_crop2d", "crop gradient in the upper left"),
    Shipped("jax#4599", "concat", "gradient split without the offset", EMPTY),
)  # fmt: skip

NOT_OURS = {
    "pytorch#163539": "conv3d in bfloat16: the contract has no convolution of volumes",
    "pytorch#117011 pytorch#141831": "more than 2^31 elements: a case would need 8 GB; `output ends early` is the mistake",
    "mxnet#18499": "gradients added to what the caller's buffer holds: a pure function has no such mode",
    "pytorch#59615": "renorm: no operation of the contract; it tells that fast gradcheck passes wrong gradients",
    "FlagGems#5216": "bicubic: not in the contract; the same mistake is planted in the bilinear one",
}
