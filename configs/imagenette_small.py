"""Imagenette at 32 px for 4 epochs: small enough to compare many networks on a CPU, as experiments/ do.

    python launch.py --config configs/imagenette_small.py:PATH

PATH (default: data/imagenette) holds {train,val}/<class>/*.

Measured: see experiments/. One to two minutes a training on 2 CPU cores; what wins after 4 epochs at 32 px need not win
after 250 at 224 px.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenette'}"
    config.dataset.image_size = 32
    config.dataset.cache = "host"
    config.batch_size = 128
    config.num_epochs = 4.0
    config.augment.crop = "resized"
    config.augment.area = (0.35, 1.0)
    config.augment.flip = True
    config.model.aux_heads = False
    config.optimizer.learning_rate = 0.05
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-4
    config.optimizer.clip_norm = 5.0
    config.loss.label_smoothing = 0.1
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    return config
