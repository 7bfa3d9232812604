"""The MindSpore model zoo's GoogLeNet on CIFAR-10: 125 epochs at 224 px, float16, one device.

    python launch.py --config configs/recipes/mindspore_cifar10.py:PATH --workdir runs/mindspore_cifar10

PATH (default: data/cifar10) holds {train,test}/<class>/*; --config.dataset.name=cifar:PATH takes the official archive.

Images are padded by 4 px, cropped to 32 and mirrored, and only then resized to 224 px, on the device. Classifier biases
decay, scales and shifts do not. The zoo computes batch norm in float16 too; here it stays in float32.

Reported by its source (research/cv/googlenet/README.md): 93.4 % top-1 on an Ascend 910 (64 min), 93 % on a V100
(127 min). Not measured here.
"""

import ml_collections

from googlenet_jax.config import NORMALIZATIONS, default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/cifar10'}"
    config.dataset.image_size = 32
    config.dataset.network_size = 224
    config.dataset.channel_order, config.dataset.mean, config.dataset.std = NORMALIZATIONS["cifar10"][:3]
    config.model.variant = "mindspore"
    config.seed = 1
    config.batch_size = 128
    config.num_epochs = 125.0
    config.augment.crop = "shift"
    config.augment.shift = 4
    config.augment.flip = True
    config.eval.crop_fraction = 1.0
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 5e-4
    config.optimizer.weight_decay_exclude = ("norm",)
    config.schedule.name = "piecewise"
    config.schedule.boundaries = (0.3 * 125, 0.6 * 125, 0.8 * 125)
    config.schedule.factors = (0.1, 0.1, 0.1)
    config.precision.compute_dtype = "float16"
    config.precision.loss_scaling = "none"
    return config
