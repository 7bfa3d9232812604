"""GoogLeNet with batch norm on ImageNet, trained at 176 px and used at 224, 8 GPUs, 256 images each, bfloat16.

    python launch.py --config configs/imagenet_8gpu.py:PATH --workdir runs/imagenet

PATH (default: data/imagenet) holds {train,val}/<class>/*, or the images with train_list.txt and val_list.txt.

ImageNet itself was not run, neither the accuracy nor eight GPUs. The best published for this network is 72.9 % top-1
with one central crop (MindCV, 150 epochs). What is here raised torchvision's networks of its size by two points
(RegNetX-400MF from 72.8 to 74.9 %, RegNetY-400MF from 74.0 to 75.8 %;
https://docs.pytorch.org/vision/stable/models.html): TrivialAugment, mixup and cutmix, erasing, repeated crops,
averaged parameters, smaller crops in training than in use, and many epochs. On Imagenette smaller crops in training
than in use were worth two points (configs/imagenette.py); after 6 epochs at 32 px none of the parts was better than
none, and repeated crops, mixing and TrivialAugment were worse (experiments/recipe_parts, experiments/augmentation).
Time: one H200 does 22,900 images/s of this step in batches of 256, with the images on it. An H100 did 15,266 before
mixing and TrivialAugment became faster, at 224 px without them 15,338, and 17,467 in batches of 1,024
(docs/measured.md).
"""

import ml_collections

from googlenet_jax.config import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The recipe; arg is the folder."""
    config = default_config()
    config.dataset.name = f"folder:{arg or 'data/imagenet'}"
    config.dataset.image_size = 176
    config.eval.image_size = 224
    config.num_devices = 8
    config.batch_size = 8 * 256
    config.num_epochs = 300.0
    config.log_every_epochs = 0.1
    config.augment.crop = "resized"
    config.augment.flip = True
    config.augment.repeats = 4
    config.augment.policy = "trivial"
    config.augment.erasing = 0.1
    config.augment.mixup = 0.2
    config.augment.cutmix = 1.0
    config.optimizer.learning_rate = 0.8
    config.optimizer.nesterov = True
    config.optimizer.weight_decay = 5e-5
    config.optimizer.ema_decay = 0.9995
    config.loss.label_smoothing = 0.1
    config.schedule.name = "piecewise_exponential"
    config.schedule.warmup_epochs = 5.0
    config.schedule.boundaries = (150.0, 240.0, 300.0)
    config.schedule.factors = (0.3, 0.1, 0.01)
    config.precision.compute_dtype = "bfloat16"
    return config
