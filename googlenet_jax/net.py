"""A trained network, ready to use: what `gn.load` returns."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flax.errors
import jax
import ml_collections
import numpy as np

from googlenet_jax.classifier import MOST, Classifier, Prediction
from googlenet_jax.config import from_json, to_json
from googlenet_jax.config.choices import nearest
from googlenet_jax.data.pictures.arrays import as_pixels, each_image
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.errors import UserError, reason, where
from googlenet_jax.explain.explanation import Explanation, explain
from googlenet_jax.exported.description import Description
from googlenet_jax.exported.opening import ExportedNet, open_exported
from googlenet_jax.models.activations import activations
from googlenet_jax.models.folding import fold
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.make_model import make_model
from googlenet_jax.runs import checkpoint
from googlenet_jax.system.parallel import parallel, replicate, split_batch
from googlenet_jax.system.storage import is_url

__all__ = ["ExportedNet", "Net", "Prediction", "load"]


@dataclasses.dataclass(frozen=True)
class Net(Classifier):
    """A network with its variables and all that it takes to use them.

    Attributes:
      model: the Flax module.
      variables: its variables, numpy arrays.
      labels: class names by index.
      preprocess: from uint8 images to the network's input.
      config: that it was trained with.
      step: training steps behind it.
      temperature: that logits are divided by before the softmax, so that probabilities tell how often the network is
        right (Guo et al., arXiv 1706.04599, equation 9).
    """

    model: GoogLeNet
    variables: Any
    labels: Sequence[str]
    preprocess: Preprocess
    config: ml_collections.ConfigDict
    step: int
    temperature: float = 1.0

    def classify(self, crops: np.ndarray) -> np.ndarray:
        """See `Classifier.classify`."""
        return self.look(crops)[0]

    def look(self, crops: np.ndarray) -> tuple[np.ndarray, jax.Array]:
        """Probabilities, and the last block's activations, which they are a linear function of before the softmax.

        Args:
          crops: as for `classify`.

        Returns:
          Probabilities (n, classes), float32, and activations for `class_maps`, in the network's compute dtype, which
          stay on the device.
        """
        cores = jax.local_devices(backend="cpu") if jax.default_backend() == "cpu" else []
        if len(cores) > 1 and len(crops) % len(cores) == 0:
            # Each core its share: faster than all of them at each layer.
            probabilities, activations = self._on_cores(split_batch(crops, cores))
            return np.asarray(probabilities).reshape(len(crops), -1), activations
        probabilities, activations = self._on_one(crops)
        return np.asarray(probabilities), activations

    def class_maps(self, activations: jax.Array | np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Where the network saw a class: its class activation maps (Zhou et al., arXiv 1512.04150, formula 2).

        They are exact here, where nothing but a mean over the places and the classifier follow the last block: a map's
        mean, and the classifier's bias, make the class's logit.

        Args:
          activations: of n images, from `look`.
          classes: (n, k) indices, of each image k classes.

        Returns:
          (n, k, h, w) float32 array; h and w are the last block's, 7 of a 224 px image.
        """
        features = np.asarray(activations, np.float32).reshape(-1, *activations.shape[-3:])
        kernel = np.asarray(self.variables["params"]["classifier"]["kernel"], np.float32)
        v = self.model.variant
        scale = np.float32(1 - v.dropout if v.dropout_scales == "inference" else 1)
        return np.einsum("nhwc,nkc->nkhw", features, scale * kernel.T[classes])

    def with_temperature_inside(self) -> "Net":
        """A network of temperature 1 with the same probabilities: the classifier's weights are divided by it."""
        if self.temperature == 1:
            return self
        params = dict(self.variables["params"])
        divided = {name: np.asarray(leaf / np.float32(self.temperature)) for name, leaf in params["classifier"].items()}
        variables = {**self.variables, "params": params | {"classifier": divided}}
        return dataclasses.replace(self, variables=variables, temperature=1.0)

    def features(self, images: Any, layer: str = "inception_5b") -> np.ndarray:
        """Activations of a layer, for retrieval or another classifier.

        Args:
          images: as for `probabilities`.
          layer: its name by the paper's Table 1, such as "inception_4e", "inception_4e/3x3" or "conv2"; where a pool
            follows it, what that gives.

        Returns:
          (n, h, w, channels) float32 array; of "classifier" logits (n, classes).

        Raises:
          UserError: for an unknown layer, or an image that cannot be read.
        """
        crops = [self.preprocess.crop(as_pixels(image)) for image in each_image(images)]
        size = self.preprocess.image_size
        shapes = jax.eval_shape(self._all_layers, self.variables, jax.ShapeDtypeStruct((1, size, size, 3), np.uint8))
        if layer not in shapes:
            raise UserError(f"layer {layer!r} is not known: {nearest(layer, shapes)}")
        one = jax.jit(lambda variables, crops: self._all_layers(variables, crops)[layer])
        found = [one(self.variables, np.stack(crops[i : i + MOST])) for i in range(0, len(crops), MOST)]
        none = np.zeros((0, *shapes[layer].shape[1:]), np.float32)
        return np.concatenate([none, *(np.asarray(part, np.float32) for part in found)])

    def _all_layers(self, variables: Any, crops: jax.Array) -> dict[str, jax.Array]:
        return activations(self.model, variables, self.preprocess.normalize(crops))

    def explain(self, images: Any, label: str | int | None = None, method: str | None = None) -> list[Explanation]:
        """Which pixels speak for a class, see `explain.explanation.explain`."""
        return explain(self, images, label, method)

    def save(self, directory: str | Path) -> None:
        """Writes it as a checkpoint, which `load` and `config.init_from` take.

        Args:
          directory: to make; it may exist if it is empty.

        Raises:
          UserError: if it cannot be written, or has not as many class names as outputs.

        Examples:
          >>> dataclasses.replace(net, labels=["cat", "dog"]).save("checkpoints/pets")
        """
        if len(self.labels) != self.model.num_classes:
            raise UserError(f"{len(self.labels)} class names for {self.model.num_classes} outputs")
        meta = {
            "config": to_json(self.config),
            "labels": list(self.labels),
            "preprocess": self.preprocess.to_dict(),
            "step": self.step,
            "epoch": 0.0,
            "temperature": self.temperature,
        }
        checkpoint.write(Path(directory).expanduser(), self.variables, meta)

    @functools.cached_property
    def _program(self) -> tuple[Callable[[Any, jax.Array], tuple[jax.Array, jax.Array]], Any]:
        """What `look` gives from variables and crops; and the variables: without batch norm, which is folded away."""
        model, variables = fold(self.model, self.variables)
        last = f"inception_{model.blocks[-1]}"

        def look(variables: Any, crops: jax.Array) -> tuple[jax.Array, jax.Array]:
            try:
                logits, kept = model.apply(
                    variables,
                    self.preprocess.normalize(crops),
                    train=False,
                    capture_intermediates=lambda module, method: module.name == last,
                )
            except flax.errors.FlaxError as error:
                raise UserError(
                    f"its variables are not those of the network that its configuration describes ({reason(error)})"
                ) from None
            return jax.nn.softmax(logits / self.temperature), kept["intermediates"][last]["__call__"][0]

        return look, variables

    @functools.cached_property
    def _on_one(self) -> Any:
        look, variables = self._program
        return functools.partial(jax.jit(look), jax.device_put(variables))

    @functools.cached_property
    def _on_cores(self) -> Any:
        (look, variables), cores = self._program, jax.local_devices(backend="cpu")
        everywhere = parallel(look, cores, replicated=1, split=1, split_result=True)
        return functools.partial(everywhere, replicate(variables, cores))


def load(path: str | Path, newest: bool = False) -> "Net | ExportedNet":
    """Loads a trained, imported or exported network.

    Args:
      path: a run (its best checkpoint by validation top-1 is taken), one of its `checkpoints/<step>`, or an imported
        checkpoint. Also a URL of one in a bucket, such as s3://bucket/run, which is copied to this machine once. Also a
        file or directory that `googlenet export` wrote, which is run by its own runtime.
      newest: of a run take the newest checkpoint instead.

    Returns:
      A `Net`, or of an exported file an `ExportedNet`, which classifies likewise.

    Raises:
      UserError: if there is no checkpoint, it is damaged, or an exported file's runtime is missing.

    Examples:
      >>> net = googlenet_jax.load("runs/digits/2026-11-21_10-00-00")
      >>> net.predict(["seven.png"])[0].labels[0]
      '7'
    """
    exported = open_exported(path if is_url(path) else Path(path).expanduser())
    if isinstance(exported, ExportedNet):
        return exported
    if exported is not None:
        return _of_weights(path, *exported)
    meta, variables = checkpoint.read(path, newest)
    try:
        config, labels, preprocess = from_json(meta["config"]), meta["labels"], Preprocess.from_dict(meta["preprocess"])
        step, temperature = int(meta["step"]), float(meta.get("temperature", 1.0))
        if not (isinstance(labels, list) and labels and all(isinstance(label, str) for label in labels)):
            raise ValueError("no class names")
        if not 0 < temperature < math.inf:
            raise ValueError(f"a temperature of {temperature}")
    except UserError as error:
        raise UserError(f"{where(path)}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(
            f"{where(path)}: what it says of its network is damaged, or of another version ({reason(error)})"
        ) from None
    return Net(make_model(config, len(labels)), variables, labels, preprocess, config, step, temperature)


def _of_weights(path: str | Path, description: Description, variables: dict[str, Any]) -> Net:
    """The network of a file of weights with a description."""
    try:
        config = from_json(description.config)
    except UserError as error:
        raise UserError(f"{where(path)}: {error}") from None
    model = make_model(config, len(description.labels))
    size = config.dataset.network_size or config.dataset.image_size
    wanted = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), "float32"))
    if jax.tree.map(lambda leaf: leaf.shape, wanted) != jax.tree.map(lambda leaf: leaf.shape, variables):
        raise UserError(f"{where(path)}: its tensors are not those of the network that it describes")
    return Net(model, variables, description.labels, description.preprocess, config, description.step)
