"""MindCV's GoogLeNet on ImageNet: 150 epochs on 8 devices, 32 images each, float32, without auxiliary heads.

    python launch.py --config configs/recipes/mindcv.py:PATH --workdir runs/mindcv

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

Every parameter decays, biases too.

Reported by its source (configs/googlenet/README.md): 72.89 % top-1, 90.89 % top-5; 23.5 ms a step, 10,894 images/s on 8
Ascend 910*. Not measured here.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenet'}"
    config.dataset.image_size = 224
    config.model.variant = "mindcv"
    config.model.aux_heads = False
    config.seed = 42
    config.num_devices = 8
    config.batch_size = 8 * 32
    config.num_epochs = 150.0
    config.log_every_epochs = 0.1
    config.augment.crop = "resized"
    config.augment.flip = True
    config.augment.brightness = 0.4
    config.augment.contrast = 0.4
    config.augment.saturation = 0.4
    config.optimizer.learning_rate = 0.045
    config.optimizer.weight_decay = 4e-5
    config.optimizer.weight_decay_exclude = ()
    config.loss.label_smoothing = 0.1
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 5.0
    config.precision.loss_scaling = "fixed"
    config.precision.loss_scale = 1024.0
    return config
