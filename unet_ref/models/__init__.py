"""Link 5: the networks of the seeds, each with its forward and its hand-written backward pass."""

from .context_unet import ContextUnet
from .model import Model
from .resnet50 import ResNet50
from .resnet_unet import ResNetUNet
from .state import State, StateError
from .trace import Grads, Trace
from .unet import UNet
from .unet2 import UNet2, UNet2Config
from .unet_film import UNetFiLM

MODELS: dict[str, type[Model]] = {
    "unet2": UNet2,
    "unet_film": UNetFiLM,
    "resnet50": ResNet50,
    "resnet_unet": ResNetUNet,
    "context_unet": ContextUnet,
    "unet": UNet,
}

__all__ = [
    "MODELS",
    "ContextUnet",
    "Grads",
    "Model",
    "ResNet50",
    "ResNetUNet",
    "State",
    "StateError",
    "Trace",
    "UNet",
    "UNet2",
    "UNet2Config",
    "UNetFiLM",
]
