"""Imports a checkpoint of another system: recognise, convert, check, write."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from googlenet_jax.config import default_config, to_json
from googlenet_jax.config.choices import NORMALIZATIONS, Normalization
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.formats import recognise as files
from googlenet_jax.importers.convert import Converted, convert, identify, without_prefix
from googlenet_jax.importers.labels import read_labels
from googlenet_jax.importers.names import NAMINGS
from googlenet_jax.importers.published import PUBLISHED, fetch, find_published
from googlenet_jax.models.variants import get_variant
from googlenet_jax.runs import checkpoint


@dataclasses.dataclass(frozen=True)
class Imported:
    """What an import found and wrote.

    Attributes:
      kind: of file, in words.
      published: the name that these very bytes were published under, or None.
      converted: the tensors and where they went.
      variant: the family.
      labels: class names.
      preprocess: what is done to images.
    """

    kind: str
    published: str | None
    converted: Converted
    variant: str
    labels: list[str]
    preprocess: dict[str, Any]


def import_checkpoint(
    source: str,
    output: Path,
    system: str | None = None,
    variant: str | None = None,
    labels: str | None = None,
    num_classes: int | None = None,
    normalization: str | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Imported:
    """Imports a file, or one of the published networks by name.

    Args:
      source: a file, or a key of `PUBLISHED` when there is no such file.
      output: directory to write; `net.load` opens it.
      system: whose file it is; None: recognised by its tensors' names.
      variant: the family; None: the system's.
      labels: as for `read_labels`.
      num_classes: how many classes there must be; None: any number.
      normalization: a key of `NORMALIZATIONS`, where the network was trained on other input than its system's usual.
      progress: told of a download, in bytes.

    Returns:
      An `Imported`.

    Raises:
      UserError: for anything wrong with the file; then nothing is written.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output {output} is not empty: choose another directory, or remove it")
    path = Path(source)
    if not path.exists() and source in PUBLISHED:
        path = fetch(source, progress)
    elif not path.exists():
        raise UserError(f"{source}: there is no such file, and the published networks are {', '.join(PUBLISHED)}")
    kind, tensors = files.read(path)
    try:
        naming = identify(tensors := without_prefix(tensors), system)
        if naming.system == "caffe" and system is None and "caffe" not in kind.lower():
            naming = next(naming for naming in NAMINGS if naming.system == "singa")  # Caffe's names in a pickle
        family = get_variant(variant or naming.variant)
        converted = convert(tensors, family, naming)
    except (UserError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    if num_classes not in (None, converted.num_classes):
        raise UserError(f"{path}: it has {converted.num_classes} classes, not --num_classes {num_classes}")

    published = find_published(path)
    if normalization is None and published and PUBLISHED[published].half_range:
        normalization = "half_range"
    elif normalization is None and naming.system == "singa":
        normalization = "singa"
    config = _config(family.name, converted, NORMALIZATIONS[normalization] if normalization else None)
    preprocess = make_preprocess(config).to_dict()
    names = read_labels(labels, converted.num_classes)
    origin = {"file": path.name, "system": naming.system, "published": published}
    meta = {"config": to_json(config), "labels": names, "preprocess": preprocess, "step": 0, "epoch": 0.0}
    checkpoint.write(output, converted.variables, meta | {"imported": origin})
    return Imported(kind, published, converted, family.name, names, preprocess)


def _config(variant: str, converted: Converted, normalization: Normalization | None) -> Any:
    """The configuration with which such a network is evaluated or trained further."""
    config = default_config()
    config.model.variant = variant
    config.model.num_classes = converted.num_classes
    config.model.aux_heads = converted.aux_heads
    config.dataset.name = "none"
    config.dataset.image_size = 224
    config.augment.crop = "resized"
    config.augment.flip = True
    if normalization is not None:
        config.dataset.channel_order, config.dataset.mean, config.dataset.std, config.eval.crop_fraction = normalization
    if variant == "paper":
        config.eval.resize = "square"
    return config
