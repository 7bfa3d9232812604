"""Caffe's bvlc_googlenet as it was released: `quick_solver.prototxt`, one GPU, batch 32, 60 epochs.

    python launch.py --config configs/recipes/caffe_quick.py:PATH --workdir runs/caffe_quick

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

Images are made 256 px square, cropped to 224 at random and mirrored; nothing else. The rate falls with the square root;
biases learn at twice the rate and do not decay. Caffe multiplies the rate into the momentum buffer, here it is applied
after it, which differs as little as the rate does within some ten steps.

Reported by its source (models/bvlc_googlenet/readme.md): 68.7 % top-1, 88.9 % top-5, central crop; 1,689 ms a step of
batch 128 on a K40 with cuDNN. Not measured here.
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
    config.num_epochs = 2_400_000 * 32 / 1_281_167
    config.log_every_epochs = 0.02
    config.augment.crop = "random"
    config.augment.flip = True
    config.eval.resize = "square"
    config.optimizer.learning_rate = 0.01
    config.optimizer.weight_decay = 2e-4
    config.optimizer.lr_factors = ("*/bias=2",)
    config.schedule.name = "polynomial"
    config.schedule.power = 0.5
    return config
