"""What training minimises."""

import jax
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array, label_smoothing: float = 0.0) -> jax.Array:
    """Softmax cross entropy of each image.

    Args:
      logits: (n, classes) float32 array.
      labels: (n,) int32 array.
      label_smoothing: share of the target spread evenly over all classes (arXiv 1512.00567, section 7).

    Returns:
      (n,) float32 array, in nats.
    """
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(targets, label_smoothing))


def total_loss(
    outputs: jax.Array | tuple[jax.Array, ...], labels: jax.Array, label_smoothing: float, aux_weight: float
) -> jax.Array:
    """The main head's loss plus each auxiliary head's, weighted (arXiv 1409.4842, section 5).

    Args:
      outputs: logits, or a tuple of the main and the auxiliary heads' logits.
      labels: (n,) int32 array.
      label_smoothing: as in `cross_entropy`.
      aux_weight: of each auxiliary head, 0.3 in the paper.

    Returns:
      Mean over the batch, float32 scalar.
    """
    main, *heads = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = cross_entropy(main, labels, label_smoothing).mean()
    for head in heads:
        loss += aux_weight * cross_entropy(head, labels, label_smoothing).mean()
    return loss
