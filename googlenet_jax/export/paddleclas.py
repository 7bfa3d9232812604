"""Weights for PaddleClas's GoogLeNet, which is paddle.vision.models.googlenet too: a pickled state_dict."""

from googlenet_jax.export.weights import weights_target
from googlenet_jax.formats.pickled import write_arrays
from googlenet_jax.importers.namings import PADDLECLAS

TARGET = weights_target(PADDLECLAS[0], ".pdparams", write_arrays)
