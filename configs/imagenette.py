"""GoogLeNet on Imagenette (10 ImageNet classes, 9,469 images) from a folder, at 64 px, on a CPU.

    python launch.py --config configs/imagenette.py:PATH --workdir runs/imagenette

PATH (default: data/imagenette) holds {train,val}/<class>/*.

Measured on 2 CPU cores, from images of 160 px, seed 0: 79.2 % validation top-1, 97.8 % top-5, in 30 minutes at 122
images/s (AVX2); by a later version 78.3 and 97.4 %, in 19 minutes, some of them beside other work (AVX-512).
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenette'}"
    config.dataset.image_size = 56
    config.eval.image_size = 64
    config.batch_size = 128
    config.num_epochs = 45.0
    config.augment.crop = "resized"
    config.augment.area = (0.35, 1.0)
    config.augment.flip = True
    config.optimizer.learning_rate = 0.05
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-4
    config.optimizer.clip_norm = 2.0
    config.optimizer.ema_decay = 0.998
    config.loss.label_smoothing = 0.1
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 3.0
    config.eval.every_epochs = 5.0
    return config
