"""PaddleClas' GoogLeNet on ImageNet: 200 epochs on 4 GPUs, 64 images each, float32.

    python launch.py --config configs/recipes/paddleclas.py:PATH --workdir runs/paddleclas

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

Every parameter decays, biases too. Crops are drawn as RandCropImage draws them.

Reported by its source (docs/en/models/Inception_en.md): 70.70 % top-1, 89.66 % top-5; inference 1.807 ms at batch 1 on
a V100. Not measured here.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenet'}"
    config.dataset.image_size = 224
    config.model.variant = "paddleclas"
    config.num_devices = 4
    config.batch_size = 4 * 64
    config.num_epochs = 200.0
    config.log_every_epochs = 0.1
    config.augment.crop = "resized"
    config.augment.sampling = "paddleclas"
    config.augment.flip = True
    config.optimizer.learning_rate = 0.01
    config.optimizer.weight_decay = 1e-4
    config.optimizer.weight_decay_exclude = ()
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 5.0
    return config
