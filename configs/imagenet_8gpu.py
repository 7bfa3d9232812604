"""GoogLeNet with batch norm on ImageNet at 224 px, 8 GPUs, 256 images each, bfloat16.

    python launch.py --config configs/imagenet_8gpu.py:PATH --workdir runs/imagenet

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

Expected: about 72 % top-1 with one central crop, which MindCV reports for its GoogLeNet after 150 epochs (72.9 %; the
MindSpore model zoo 71.8 % after 300). Time: one H200 did 14,055 images/s of an earlier version of this step, with the
images on it; at that speed eight take 23 minutes for 120 epochs, if they are fed: from records with tiles by some 290
cores like those beside it. Not run here: neither the accuracy nor eight GPUs.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenet'}"
    config.dataset.image_size = 224
    config.num_devices = 8
    config.batch_size = 8 * 256
    config.num_epochs = 120.0
    config.log_every_epochs = 0.1
    config.augment.crop = "resized"
    config.augment.flip = True
    config.augment.brightness = 0.4
    config.augment.contrast = 0.4
    config.augment.saturation = 0.4
    config.optimizer.learning_rate = 0.8
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-5
    config.optimizer.ema_decay = 0.9995
    config.loss.label_smoothing = 0.1
    config.schedule.name = "piecewise_exponential"
    config.schedule.warmup_epochs = 5.0
    config.schedule.boundaries = (60.0, 100.0, 120.0)
    config.schedule.factors = (0.2, 0.05, 0.01)
    config.precision.compute_dtype = "bfloat16"
    return config
