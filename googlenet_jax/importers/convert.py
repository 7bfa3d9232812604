"""Named tensors of another system -> this network's variables, each checked; and back."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from googlenet_jax.errors import UserError, shown
from googlenet_jax.importers.names import LAYOUTS, Entry, Naming, entries
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.variants import Variant

ONLY_TRAINING = "only training needs it"
FEATURES = 1024  # that the classifier sees: the channels of the paper's block 5b


@dataclasses.dataclass(frozen=True)
class Converted:
    """A network from elsewhere.

    Attributes:
      naming: whose names the tensors had.
      variables: of the network, float32 numpy arrays.
      num_classes: of its classifiers.
      aux_heads: whether it has auxiliary heads.
      entries: what became of each tensor that it is made of.
      left_out: {name of another tensor in the file: why it was left out}.
    """

    naming: Naming
    variables: dict[str, Any]
    num_classes: int
    aux_heads: bool
    entries: list[Entry]
    left_out: dict[str, str]


def convert(
    tensors: Mapping[str, np.ndarray], variant: Variant, naming: Naming, classifier: str | None = None
) -> Converted:
    """Takes every tensor of the network to its place.

    Args:
      tensors: by the names of `naming`; others may be among them.
      variant: the family of the network that they are for.
      naming: whose names they are.
      classifier: the main classifier's name, where it is another than the naming's.

    Returns:
      A `Converted`.

    Raises:
      UserError: if a tensor is missing or has the wrong shape; it names them.
    """
    if classifier is not None:
        naming = dataclasses.replace(naming, classifier=_present(classifier, tensors, naming))
    main = list(entries(naming, aux=False))
    if missing := [entry.name for entry in main if entry.name not in tensors]:
        _refuse("missing", missing, suggestion(tensors, naming, missing))
    bias = np.shape(tensors[main[-1].name])
    num_classes = bias[0] if len(bias) == 1 else 0
    without_aux = _why_no_aux(tensors, naming, num_classes)
    wanted = list(entries(naming, aux=without_aux is None))
    shapes = expected_shapes(variant, max(num_classes, 1), without_aux is None)
    placed = {entry.path for entry in wanted}
    _refuse("missing", [".".join(path) for path in shapes if path not in placed])
    _refuse(f"not in the family {variant.name!r}", [".".join(path) for path in sorted(placed - shapes.keys())])

    variables: dict[str, Any] = {}
    wrong = []
    for entry in wanted:
        array, shape = tensors[entry.name], shapes[entry.path]
        layout = LAYOUTS[entry.layout]
        if array.ndim == len(shape) and layout.read(array).shape == shape and array.dtype.kind == "f":
            with np.errstate(over="ignore"):
                taken = np.ascontiguousarray(layout.read(array), np.float32)
            if not np.isfinite(taken).all():
                raise UserError(f"{entry.name} has values that are not finite: its training diverged, or it is damaged")
            _put(variables, entry.path, taken)
        else:
            stored = layout.write(np.broadcast_to(np.int8(0), shape)).shape
            wrong.append(f"{entry.name} is {array.dtype} {array.shape}, not float {stored}")
    _refuse("of another shape", wrong)
    left_out = _left_out(tensors.keys() - {entry.name for entry in wanted}, naming, without_aux)
    return Converted(naming, variables, num_classes, without_aux is None, wanted, left_out)


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


def suggestion(tensors: Mapping[str, np.ndarray], naming: Naming, missing: list[str]) -> str:
    """A hint where the classifier alone is missing, and other tensors could be one.

    Args:
      tensors: by the names of `naming`.
      naming: whose names they are.
      missing: names that are not there.

    Returns:
      What to add to the message; "" if there is nothing to suggest.
    """
    if not set(missing) <= {naming.classifier + naming.weight, naming.classifier + naming.bias}:
        return ""
    names = {entry.name for entry in entries(naming, aux=True)}
    weights = [name for name in tensors.keys() - names if name.endswith(naming.weight) and tensors[name].ndim > 1]
    surplus = sorted(name.removesuffix(naming.weight) for name in weights if not name.startswith(naming.training))
    fitting = [layer for layer in surplus if layer + naming.bias in tensors and _classes(tensors, naming, layer)]
    # Caffe's auxiliary classifiers are renamed together with the main one, and have its shape.
    stem = [layer for layer in surplus if _first_part(layer) == _first_part(naming.classifier)]
    fitting = [layer for layer in fitting if layer in stem] or fitting
    if not fitting or set(stem) - set(fitting):  # a head of several layers is another network
        return ""
    flags = " or ".join(f"--classifier {shown(layer)}" for layer in fitting[:3])
    return f"; the classifier may have another name: {flags} {'fits' if len(fitting) == 1 else 'fit'} by shape"


def _present(classifier: str, tensors: Mapping[str, np.ndarray], naming: Naming) -> str:
    """The name of the layer that the user calls the classifier, which must be there."""
    layer = classifier.removesuffix(naming.weight)
    absent = [name for name in (layer + naming.weight, layer + naming.bias) if name not in tensors]
    if absent:
        hint = suggestion(tensors, naming, [naming.classifier + naming.weight, naming.classifier + naming.bias])
        raise UserError(f"--classifier {shown(classifier)}: there is no {' and no '.join(map(shown, absent))}{hint}")
    return layer


def _classes(tensors: Mapping[str, np.ndarray], naming: Naming, layer: str) -> int:
    """Classes of a layer that has the shape of a classifier; 0 if it has not."""
    kernel, bias = np.shape(tensors[layer + naming.weight]), np.shape(tensors[layer + naming.bias])
    if len(kernel) != 2 or len(bias) != 1:
        return 0
    features, classes = kernel if naming.dense == "as is" else kernel[::-1]
    return classes if (features, classes) == (FEATURES, bias[0]) else 0


def _why_no_aux(tensors: Mapping[str, np.ndarray], naming: Naming, num_classes: int) -> str | None:
    """Why the network is taken without its auxiliary heads; None if it is taken with them."""
    names = [entry.name for entry in entries(naming, aux=True) if entry.path[1] in ("aux1", "aux2")]
    absent = [name for name in names if name not in tensors]
    if len(absent) == len(names):
        return "the file has no auxiliary heads"
    classifiers = [classifier for _, _, classifier in naming.aux]
    own = {layer + part for layer in classifiers for part in (naming.weight, naming.bias)}
    if absent and set(absent) <= own:
        return f"auxiliary heads without {', '.join(absent[:2])}"
    _refuse("missing", absent)
    counts = {_classes(tensors, naming, layer) for layer in classifiers}
    if counts != {num_classes} and 0 not in counts:
        return f"auxiliary heads of {' and '.join(map(str, sorted(counts)))} classes, the classifier has {num_classes}"
    return None


def _left_out(names: set[str], naming: Naming, without_aux: str | None) -> dict[str, str]:
    """Why each of these tensors of the file is not taken."""
    own = {entry.name: entry.path[1] for entry in entries(naming, aux=True)}
    beginnings = {_first_part(name) for name in own}

    def why(name: str) -> str:
        if name.startswith(naming.training) or name.endswith(naming.training):
            return ONLY_TRAINING
        if without_aux and own.get(name) in ("aux1", "aux2"):
            return without_aux
        return "this network has no such layer there" if _first_part(name) in beginnings else "not of this network"

    return {name: why(name) for name in sorted(names)}


def _first_part(name: str) -> str:
    return re.split("[./]", name, maxsplit=1)[0]


def expected_shapes(variant: Variant, num_classes: int, aux_heads: bool) -> dict[tuple[str, ...], tuple[int, ...]]:
    """The shape of every variable, by its path."""
    model = GoogLeNet(num_classes, variant, aux_heads)
    tree = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 224, 224, 3))))
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {tuple(key.key for key in path): leaf.shape for path, leaf in leaves}


def _put(tree: dict[str, Any], path: tuple[str, ...], value: np.ndarray) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _refuse(what: str, names: list[str], hint: str = "") -> None:
    if names:
        more = f", and {len(names) - 3} more" if len(names) > 3 else ""
        verb = "tensor is" if len(names) == 1 else "tensors are"
        raise UserError(f"{len(names)} {verb} {what}: {', '.join(map(shown, names[:3]))}{more}{hint}")
