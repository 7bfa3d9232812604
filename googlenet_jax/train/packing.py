"""Trees of parameters as a few long vectors, which are updated in a few operations rather than in hundreds.

A leaf of the network is some thousand numbers; on a GPU an update, an average or an exchange of each on its own costs a
launch, which takes longer than the arithmetic, and everywhere each is compiled. Leaves that are treated alike lie in
one vector, one after the other, while the train step has them; checkpoints and all else see trees.
"""

import dataclasses
import math
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp

Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Packing:
    """How a tree lies in vectors.

    Attributes:
      structure: the tree's.
      shapes: of its leaves, in the tree's order.
      groups: names of the vectors that its leaves lie in, likewise.
      features_first: kernels lie with the output channel first, as cuDNN wants them, so that none is transposed in a
        step.
    """

    structure: Hashable
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[str, ...]
    features_first: bool = False

    @classmethod
    def of(cls, tree: Any, group: Callable[[Path], str], features_first: bool = False) -> "Packing":
        """The packing of a tree of arrays, or of their shapes, by each leaf's group."""
        leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
        groups = tuple(group(tuple(key.key for key in path)) for path, _ in leaves)
        return cls(structure, tuple(leaf.shape for _, leaf in leaves), groups, features_first)

    def pack(self, tree: Any) -> "Packed":
        """A tree of arrays in vectors."""
        parts: dict[str, list[jax.Array]] = {}
        for leaf, group in zip(jax.tree.leaves(tree), self.groups, strict=True):
            stored = leaf.transpose(3, 0, 1, 2) if self._is_turned(leaf.shape) else leaf
            parts.setdefault(group, []).append(stored.reshape(-1))
        return Packed({group: jnp.concatenate(arrays) for group, arrays in parts.items()}, self)

    def unpack(self, vectors: dict[str, jax.Array]) -> Any:
        """The tree that lies in these vectors."""
        leaves, done = [], dict.fromkeys(vectors, 0)
        for shape, group in zip(self.shapes, self.groups, strict=True):
            start, size = done[group], math.prod(shape)
            done[group] += size
            part = vectors[group][start : start + size]
            turned = self._is_turned(shape)
            leaves.append(part.reshape(shape[3], *shape[:3]).transpose(1, 2, 3, 0) if turned else part.reshape(shape))
        return jax.tree.unflatten(self.structure, leaves)

    def _is_turned(self, shape: tuple[int, ...]) -> bool:
        return self.features_first and len(shape) == 4 and shape[0] > 1


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True)
class Packed:
    """A tree in vectors; a tree itself, whose leaves are the vectors, named by their groups.

    Attributes:
      vectors: each a one-dimensional array.
      packing: what lies where.
    """

    vectors: dict[str, jax.Array]
    packing: Packing

    @property
    def tree(self) -> Any:
        """The tree that lies in the vectors."""
        return self.packing.unpack(self.vectors)

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        """As JAX takes a node of a tree apart."""
        names = tuple(sorted(self.vectors))
        return [(jax.tree_util.DictKey(name), self.vectors[name]) for name in names], (names, self.packing)

    @classmethod
    def tree_unflatten(cls, known: Any, children: Any) -> "Packed":
        """As JAX puts a node of a tree together."""
        names, packing = known
        return cls(dict(zip(names, children, strict=True)), packing)


def pack(tree: Any, *packings: Packing) -> Any:
    """A tree with each subtree that one of the packings is of in vectors."""

    def fitting(node: Any) -> Packing | None:
        structure = jax.tree.structure(node)
        return next((packing for packing in packings if packing.structure == structure), None)

    def packed(node: Any) -> Any:
        packing = fitting(node)
        return node if packing is None else packing.pack(node)

    return jax.tree.map(packed, tree, is_leaf=lambda node: fitting(node) is not None)


def unpack(tree: Any) -> Any:
    """A tree with each `Packed` in it as the tree that it holds."""

    def unpacked(node: Any) -> Any:
        return node.tree if isinstance(node, Packed) else node

    return jax.tree.map(unpacked, tree, is_leaf=lambda node: isinstance(node, Packed))
