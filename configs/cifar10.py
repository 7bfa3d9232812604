"""GoogLeNet on CIFAR-10 from a folder of images, the tiny stem at 32 px, for one GPU.

    python launch.py --config configs/cifar10.py:PATH --workdir runs/cifar10

PATH (default: data/cifar10) holds {train,test}/<class>/*. On a CPU take configs/cifar10_cpu.py.

Not measured. MindSpore's model zoo reports 93.4 % for its GoogLeNet at 224 px after 125 epochs. configs/cifar10_fast.py
has 90.8 % with the training images learnt by heart; so here 3a sees 32x32 instead of 16x16, three times the work an
image, and TrivialAugment takes the place of cutout.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/cifar10'}"
    config.dataset.image_size = 32
    config.dataset.cache = "device"
    config.batch_size = 512
    config.num_epochs = 80.0
    config.model.stem = "tiny"
    config.model.aux_heads = False
    config.model.dropout = 0.0
    config.augment.crop = "shift"
    config.augment.shift = 4
    config.augment.flip = True
    config.augment.policy = "trivial"
    config.optimizer.learning_rate = 0.3
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-4
    config.optimizer.clip_norm = 2.0
    config.optimizer.ema_decay = 0.998
    config.loss.label_smoothing = 0.1
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 6.0
    config.precision.compute_dtype = "bfloat16"
    config.eval.crop_fraction = 1.0
    config.eval.every_epochs = 10.0
    return config
