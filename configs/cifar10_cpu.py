"""GoogLeNet on CIFAR-10 from a folder of images, on a CPU: the paper's stem, which sees the images at 80 px.

    python launch.py --config configs/cifar10_cpu.py:PATH --workdir runs/cifar10_cpu

PATH (default: data/cifar10) holds {train,test}/<class>/*; --config.dataset.name=cifar:PATH takes the official archive.

Measured on an AMD EPYC (AVX-512), from the images as JPEGs (quality 75): 86.7 % top-1, 99.3 % top-5 at the end (seeds
0 and 1: 86.79 and 86.54), each on one core, side by side, at 119 images/s while nothing else ran: 14 epochs would take
two cores 50 minutes. At 56 px and with 18 epochs, 29 minutes, it is 85.6 % (85.76 and 85.44). 93 % of the training
images are right at the end, and the last two epochs brought 0.1 point.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/cifar10'}"
    config.dataset.image_size = 32
    config.dataset.network_size = 80
    config.dataset.cache = "device"
    config.batch_size = 128
    config.num_epochs = 14.0
    config.model.aux_heads = False
    config.model.dropout = 0.2
    config.augment.crop = "shift"
    config.augment.shift = 4
    config.augment.flip = True
    config.optimizer.learning_rate = 0.05
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-4
    config.optimizer.clip_norm = 2.0
    config.optimizer.ema_decay = 0.998
    config.loss.label_smoothing = 0.1
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.eval.crop_fraction = 1.0
    config.eval.every_epochs = 3.0
    return config
