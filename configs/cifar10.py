"""GoogLeNet on CIFAR-10 from a folder of images, the small stem at 32 px, for one GPU.

    python launch.py --config configs/cifar10.py:PATH --workdir runs/cifar10
    python launch.py --config configs/cifar10.py:PATH --config.model.stem=paper \
        --config.num_epochs=1 --config.schedule.warmup_epochs=0.2 --config.precision.compute_dtype=float32    on a CPU

PATH (default: data/cifar10) holds {train,test}/<class>/*.

Expected: the model zoo of MindSpore reports 93.4 % for its GoogLeNet at 224 px after 125 epochs. The accuracy is not
measured here. On one H200 it trains at 50,000 images/s in batches of 512 without auxiliary heads. The second command,
one epoch on 2 CPU cores: 32.3 % top-1, 86.1 % top-5 after 2 min 39 s, 360 images/s (seed 0, n = 1).
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/cifar10'}"
    config.dataset.image_size = 32
    config.dataset.cache = "device"
    config.batch_size = 128
    config.num_epochs = 60.0
    config.model.stem = "small"
    config.augment.crop = "shift"
    config.augment.shift = 4
    config.augment.flip = True
    config.optimizer.learning_rate = 0.1
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-4
    config.loss.label_smoothing = 0.1
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 1.0
    config.precision.compute_dtype = "bfloat16"
    config.eval.crop_fraction = 1.0
    return config
