"""The MindSpore model zoo's GoogLeNet on ImageNet: 300 epochs on 8 devices, 256 images each, float16.

    python launch.py --config configs/recipes/mindspore_imagenet.py:PATH --workdir runs/mindspore_imagenet

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

The zoo smooths labels over the other 999 classes alone, which the factor 1000/999 makes of ours. It takes steps whose
gradients overflow; here they are skipped.

Reported by its source (research/cv/googlenet/README.md): 71.81 % top-1; 171 ms a step on 8 Ascend 910, 8.8 hours. Not
measured here.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenet'}"
    config.dataset.image_size = 224
    config.model.variant = "mindspore"
    config.model.sync_batch_norm = False
    config.seed = 1
    config.num_devices = 8
    config.batch_size = 8 * 256
    config.num_epochs = 300.0
    config.log_every_epochs = 0.1
    config.augment.crop = "resized"
    config.augment.flip = True
    config.augment.brightness = 0.4
    config.augment.contrast = 0.4
    config.augment.saturation = 0.4
    config.augment.hue = 0.1
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.loss.label_smoothing = 0.1 * 1000 / 999
    config.schedule.name = "piecewise"
    config.schedule.boundaries = (70.0, 140.0, 210.0, 280.0)
    config.schedule.factors = (0.3, 0.3, 0.3, 0.3)
    config.precision.compute_dtype = "float16"
    config.precision.loss_scaling = "fixed"
    config.precision.loss_scale = 1024.0
    return config
