"""Named tensors of another system -> this network's variables, each checked; and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from googlenet_jax.errors import UserError, shown
from googlenet_jax.importers.names import LAYOUTS, NAMINGS, Entry, Naming, entries
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.variants import Variant


@dataclasses.dataclass(frozen=True)
class Converted:
    """A network from elsewhere.

    Attributes:
      naming: whose names the tensors had.
      variables: of the network, float32 numpy arrays.
      num_classes: of its classifiers.
      aux_heads: whether it has auxiliary heads.
      entries: what became of each tensor.
      left_out: names of tensors that only training needs.
    """

    naming: Naming
    variables: dict[str, Any]
    num_classes: int
    aux_heads: bool
    entries: list[Entry]
    left_out: list[str]


def identify(tensors: Mapping[str, np.ndarray], system: str | None = None) -> Naming:
    """Whose names these are.

    Args:
      tensors: by name.
      system: looks among this system's namings only.

    Returns:
      The naming that most of its own names are there of.

    Raises:
      UserError: if they are nobody's.
    """
    known = [naming for naming in NAMINGS if system in (None, naming.system)]

    def share(naming: Naming) -> float:
        wanted = [entry.name for entry in entries(naming, aux=False)]
        return sum(name in tensors for name in wanted) / len(wanted)

    best = max(known, key=share)
    if share(best) < 0.5:
        names = ", ".join(map(shown, list(tensors)[:3]))
        whose = f"{system}'s GoogLeNet" if system else "any GoogLeNet that is known here"
        raise UserError(f"its {len(tensors)} tensors ({names}, ...) are not those of {whose}")
    return best


def convert(tensors: Mapping[str, np.ndarray], variant: Variant, naming: Naming) -> Converted:
    """Takes every tensor to its place.

    Args:
      tensors: by the names of `naming`.
      variant: the family of the network that they are for.
      naming: whose names they are.

    Returns:
      A `Converted`.

    Raises:
      UserError: if a tensor is missing, has the wrong shape, or is left over; it names them.
    """
    has_aux = bool(naming.aux) and any(entry.name in tensors for entry in _aux_entries(naming))
    wanted = list(entries(naming, has_aux))
    _refuse("missing", [entry.name for entry in wanted if entry.name not in tensors])
    extra = tensors.keys() - {entry.name for entry in wanted}
    left_out = sorted(name for name in extra if name.startswith(naming.training) or name.endswith(naming.training))
    _refuse("not of this network", sorted(extra - set(left_out)))
    classifier = np.shape(tensors[wanted[-1].name])
    num_classes = classifier[0] if len(classifier) == 1 else 0
    shapes = expected_shapes(variant, max(num_classes, 1), has_aux)
    placed = {entry.path for entry in wanted}
    _refuse("missing", [".".join(path) for path in shapes if path not in placed])
    _refuse(f"not in the family {variant.name!r}", [".".join(path) for path in sorted(placed - shapes.keys())])

    variables: dict[str, Any] = {}
    wrong = []
    for entry in wanted:
        array, shape = tensors[entry.name], shapes[entry.path]
        layout = LAYOUTS[entry.layout]
        if array.ndim == len(shape) and layout.read(array).shape == shape and array.dtype.kind == "f":
            _put(variables, entry.path, np.ascontiguousarray(layout.read(array), np.float32))
        else:
            stored = layout.write(np.broadcast_to(np.int8(0), shape)).shape
            wrong.append(f"{entry.name} is {array.dtype} {array.shape}, not float {stored}")
    _refuse("of another shape", wrong)
    return Converted(naming, variables, num_classes, has_aux, wanted, left_out)


def unconvert(variables: Mapping[str, Any], naming: Naming, aux: bool) -> dict[str, np.ndarray]:
    """The variables under another system's names and in its layouts; the reverse of `convert`.

    Args:
      variables: of a network of that system's family.
      naming: of the system.
      aux: with the auxiliary heads.

    Returns:
      Float32 arrays by name, in network order.
    """
    tensors = {}
    for entry in entries(naming, aux):
        node: Any = variables
        for part in entry.path:
            node = node[part]
        tensors[entry.name] = np.ascontiguousarray(LAYOUTS[entry.layout].write(np.asarray(node, np.float32)))
    return tensors


def without_prefix(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without what wrappers put before every name, such as "module." or "network."."""
    for prefix in ("module.", "network.", "backbone.", "model."):
        if tensors and all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): array for name, array in tensors.items()}
    return dict(tensors)


def expected_shapes(variant: Variant, num_classes: int, aux_heads: bool) -> dict[tuple[str, ...], tuple[int, ...]]:
    """The shape of every variable, by its path."""
    model = GoogLeNet(num_classes, variant, aux_heads)
    tree = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 224, 224, 3))))
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {tuple(key.key for key in path): leaf.shape for path, leaf in leaves}


def _aux_entries(naming: Naming) -> list[Entry]:
    return [entry for entry in entries(naming, aux=True) if entry.path[1] in ("aux1", "aux2")]


def _put(tree: dict[str, Any], path: tuple[str, ...], value: np.ndarray) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _refuse(what: str, names: list[str]) -> None:
    if names:
        more = f", and {len(names) - 3} more" if len(names) > 3 else ""
        verb = "tensor is" if len(names) == 1 else "tensors are"
        raise UserError(f"{len(names)} {verb} {what}: {', '.join(map(shown, names[:3]))}{more}")
