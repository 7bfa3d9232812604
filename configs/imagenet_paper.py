"""The paper's own training (arXiv 1409.4842, section 6) on ImageNet at 224 px: no batch norm, 250 epochs.

    python launch.py --config configs/imagenet_paper.py:PATH --workdir runs/paper

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

The rate falls by 4 % every 8 epochs, parameters are averaged for evaluation (Polyak), crops take 8 % to 100 % of the
image at aspects of 3/4 to 4/3, resized by a random method, with photometric distortions. What the paper does not say
is Caffe's (solver.prototxt of bvlc_googlenet): batch 32, rate 0.01, weight decay 2e-4 except for biases.

Expected: 89.9 % top-5 with one central crop (paper, table 3); Caffe's reproduction, with less augmentation and 60
epochs, reports 68.7 % top-1 and 88.9 % top-5. Time: at 1,500 images/s, an assumption,
250 epochs take 2.5 days on one GPU. Not measured here: neither the accuracy nor the time.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenet'}"
    config.dataset.image_size = 224
    config.model.variant = "paper"
    config.batch_size = 32
    config.num_epochs = 250.0
    config.log_every_epochs = 0.02
    config.augment.crop = "resized"
    config.augment.interpolation = "random"
    config.augment.flip = True
    config.augment.brightness = 0.5
    config.augment.contrast = 0.5
    config.augment.saturation = 0.5
    config.optimizer.learning_rate = 0.01
    config.optimizer.weight_decay = 2e-4
    config.optimizer.ema_decay = 0.9999
    config.schedule.name = "exponential"
    config.schedule.decay_rate = 0.96
    config.schedule.decay_epochs = 8.0
    config.schedule.staircase = True
    return config
