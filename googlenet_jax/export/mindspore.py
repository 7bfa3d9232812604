"""Weights for MindCV's GoogLeNet and for that of MindSpore's model zoo: checkpoints of MindSpore."""

from googlenet_jax.export.weights import weights_target
from googlenet_jax.formats.mindspore import write_ckpt
from googlenet_jax.importers.namings import MINDCV, MINDSPORE

MINDCV_TARGET = weights_target(MINDCV[0], ".ckpt", write_ckpt)
ZOO_TARGET = weights_target(MINDSPORE[0], ".ckpt", write_ckpt)
