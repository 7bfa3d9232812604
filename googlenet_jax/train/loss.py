"""What training minimises."""

import jax

from googlenet_jax.evaluate.metrics import cross_entropy


def total_loss(
    outputs: jax.Array | tuple[jax.Array, ...], labels: jax.Array, label_smoothing: float, aux_weight: float
) -> jax.Array:
    """The main head's loss plus each auxiliary head's, weighted (arXiv 1409.4842, section 5).

    Args:
      outputs: logits, or a tuple of the main and the auxiliary heads' logits.
      labels: as in `cross_entropy`.
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
