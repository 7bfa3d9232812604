"""Imports a checkpoint of another system: recognise, convert, check, write."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from googlenet_jax.config import default_config, override, to_json
from googlenet_jax.config.checks import known_field
from googlenet_jax.config.choices import NORMALIZATIONS
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.errors import UserError, where
from googlenet_jax.formats import recognise
from googlenet_jax.importers.choose import Chosen, choose, take
from googlenet_jax.importers.convert import Converted, convert
from googlenet_jax.importers.labels import read_labels
from googlenet_jax.importers.published import PUBLISHED, fetch, find_published
from googlenet_jax.models.variants import get_variant
from googlenet_jax.runs import checkpoint

# The fields that say what a network's input is.
INPUT = (
    *(f"dataset.{name}" for name in ("mean", "std", "channel_order", "image_size", "network_size")),
    *(f"eval.{name}" for name in ("crop_fraction", "resize")),
)


@dataclasses.dataclass(frozen=True)
class Imported:
    """What an import found and wrote.

    Attributes:
      kind: of file, in words.
      published: the name that these very bytes were published under, or None.
      chosen: which of the file's sets of weights was taken.
      converted: the tensors and where they went.
      variant: the family.
      labels: class names.
      preprocess: what is done to images.
    """

    kind: str
    published: str | None
    chosen: Chosen
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
    key: str | None = None,
    classifier: str | None = None,
    fields: Mapping[str, str] | None = None,
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
      key: dotted key of the weights in the file; None: the dictionary that fits best.
      classifier: name of the last layer, where it is another than its system's.
      fields: of `INPUT`, with their values as text: {"dataset.mean": "104,117,123", "dataset.image_size": "128"}.

    Returns:
      An `Imported`.

    Raises:
      UserError: for anything wrong with the file; then nothing is written.
    """
    output = Path(os.path.expanduser(output))
    checkpoint.check_free(output)
    for field in fields or {}:
        if known_field(field) not in INPUT:
            raise UserError(f"--set {field} says nothing of the input; what does: {', '.join(INPUT)}")
    path = Path(os.path.expanduser(source))
    if not path.exists() and source in PUBLISHED:
        path = fetch(source, progress)
    elif not path.exists():
        raise UserError(f"{where(path)}: there is no such file, and the published networks are {', '.join(PUBLISHED)}")
    with recognise.opened(path) as (kind, found):
        chosen = choose(found.groups, kind, system, key, found.unread)
        tensors = found.load(chosen.weights.group)
    naming = chosen.weights.naming
    family = get_variant(variant or naming.variant)
    try:
        taken, other = take(tensors, chosen.weights)
        name = classifier and classifier.removeprefix(chosen.weights.prefix)
        converted = convert(taken, family, naming, name)
    except (UserError, ValueError) as error:
        raise UserError(f"{where(path)}: {error}") from None
    converted.left_out.update(dict.fromkeys(other, "of another set of weights"))
    if num_classes not in (None, converted.num_classes):
        raise UserError(f"{where(path)}: it has {converted.num_classes} classes, not --num_classes {num_classes}")

    published = find_published(path)
    if normalization is None and published and PUBLISHED[published].half_range:
        normalization = "half_range"
    config = override(_config(family.name, converted, normalization or naming.normalization), fields or {})
    preprocess = make_preprocess(config).to_dict()
    names = read_labels(labels, converted.num_classes)
    origin = {"file": path.name, "system": naming.system, "published": published}
    meta = {"config": to_json(config), "labels": names, "preprocess": preprocess, "step": 0, "epoch": 0.0}
    checkpoint.write(output, converted.variables, meta | {"imported": origin})
    return Imported(kind, published, chosen, converted, family.name, names, preprocess)


def _config(variant: str, converted: Converted, normalization: str | None) -> Any:
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
        of_input = NORMALIZATIONS[normalization]
        config.dataset.channel_order, config.dataset.mean = of_input.channel_order, of_input.mean
        config.dataset.std, config.eval.crop_fraction = of_input.std, of_input.crop_fraction
    if converted.naming.resize is not None:
        config.eval.resize = converted.naming.resize
    return config
