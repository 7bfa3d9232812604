"""What of a picture speaks for a class: one function a method, the rows of `EXPLANATIONS`.

Each takes a network, uint8 crops (n, s, s, 3) and the index of a class for each, and gives maps (n, h, w) float32 of
any resolution that are laid over the crops; above 0 speaks for the class, below 0 against it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from googlenet_jax.classifier import Classifier
from googlenet_jax.errors import UserError

_AT_ONCE = 32  # images
_PLACES = 15  # of the occluding square, across and down
_SIDE = 4  # the image's side by the square's
_STEPS, _PATH = 32, 8  # between the baseline and the image, and of them at once


def class_activation(net: Any, crops: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Class activation maps (Zhou et al., arXiv 1512.04150), which are exact for this network, see `Net.class_maps`."""
    if not hasattr(net, "look"):
        raise UserError("--method cam looks inside the network, which an exported file does not show: take occlusion")
    maps = [
        net.class_maps(net.look(crops[i : i + _AT_ONCE])[1], classes[i : i + _AT_ONCE, None])[:, 0]
        for i in range(0, len(crops), _AT_ONCE)
    ]
    return np.concatenate(maps)


def occlusion(net: Classifier, crops: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """By how much a class's probability falls when a grey square covers a place (Zeiler, Fergus, arXiv 1311.2901, 4.2).

    The square's side is a quarter of the image's, so that it hides a part of a thing and not a texture's dot.
    """
    size = crops.shape[1]
    side = max(size // _SIDE, 1)
    starts = np.linspace(0, size - side, _PLACES).round().astype(int)
    grey = crops.mean((1, 2), keepdims=True).round().astype(np.uint8)
    maps = []
    for crop, shade, chosen in zip(crops, grey, classes, strict=True):
        covered = [crop]
        for top in starts:
            for left in starts:
                one = crop.copy()
                one[top : top + side, left : left + side] = shade
                covered.append(one)
        values = net.probabilities(covered)[:, chosen]
        maps.append((values[0] - values[1:]).reshape(_PLACES, _PLACES))
    return np.stack(maps).astype(np.float32)


def integrated_gradients(net: Any, crops: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Integrated gradients (Sundararajan et al., arXiv 1703.01365, formula 1) of a class's logit, summed over colours.

    The path leads from the mean colour, which is 0 to the network, straight to the image; a map's sum is the logit's
    difference between the two, up to the error of 32 midpoints.
    """
    if not hasattr(net, "model"):
        raise UserError("--method integrated_gradients needs gradients, which an exported file has not: take occlusion")

    @jax.jit
    def gradients(variables: Any, images: jax.Array, chosen: jax.Array) -> jax.Array:
        return jax.grad(lambda x: net.model.apply(variables, x, train=False)[:, chosen].sum())(images)

    # Not a loop on the device: in one, XLA's CPU backend leaves its fast convolutions.
    shares = ((np.arange(_STEPS) + 0.5) / _STEPS).reshape(-1, _PATH, 1, 1, 1)
    variables, maps = jax.device_put(net.variables), []
    for image, chosen in zip(net.preprocess.normalize(jnp.asarray(crops)), classes, strict=True):
        total = sum(gradients(variables, some * image[None], chosen).sum(0) for some in shares.astype(np.float32))
        maps.append(np.asarray((image * total / _STEPS).sum(-1)))
    return np.stack(maps)
