"""DeepSparkHub's training of torchvision's GoogLeNet: 90 epochs, 512 images a GPU, float16 (--amp).

    python launch.py --config configs/recipes/deepspark.py:PATH --workdir runs/deepspark

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

For n GPUs set config.num_devices=n and config.batch_size to n * 512; the rate stays. All three losses count alike.
Every parameter decays; the 8-GPU command line in its README has config.optimizer.weight_decay=1e-6.

Its source (models/cv/classification/googlenet/pytorch) reports neither accuracy nor speed. Not measured here.
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenet'}"
    config.dataset.image_size = 224
    config.model.variant = "torchvision"
    config.model.sync_batch_norm = False
    config.seed = 42
    config.num_devices = 1
    config.batch_size = 512
    config.num_epochs = 90.0
    config.log_every_epochs = 0.1
    config.augment.crop = "resized"
    config.augment.flip = True
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 1e-4
    config.optimizer.weight_decay_exclude = ()
    config.loss.aux_weight = 1.0
    config.schedule.name = "piecewise"
    config.schedule.boundaries = (30.0, 60.0)
    config.schedule.factors = (0.1, 0.1)
    config.precision.compute_dtype = "float16"
    config.precision.loss_scaling = "dynamic"
    config.precision.loss_scale = 2.0**16
    return config
