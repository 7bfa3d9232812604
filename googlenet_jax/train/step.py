"""The train step: one function of state and batch, written for one device's share and run by `parallel`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax import lax

from googlenet_jax.data.augment import augment, erase
from googlenet_jax.data.mixing import mix
from googlenet_jax.metrics import Metrics, cross_entropy, measure
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.parallel import AXIS
from googlenet_jax.preprocess import Preprocess
from googlenet_jax.train.loss import total_loss
from googlenet_jax.train.precision import all_finite
from googlenet_jax.train.state import TrainState

Step = Callable[[TrainState, Metrics, jax.Array, jax.Array], tuple[TrainState, Metrics]]


def make_train_step(
    model: GoogLeNet,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    preprocess: Preprocess,
    config: ml_collections.ConfigDict,
) -> Step:
    """The train step of a configuration.

    Args:
      model: the network, with `axis_name` set to `AXIS`.
      optimizer: from `make_optimizer`.
      schedule: from `make_schedule`.
      preprocess: normalises images.
      config: the whole configuration.

    Returns:
      A function of the state, the metrics so far, (n, h, w, 3) uint8 images and (n,) int32 labels that gives the new
      state and metrics; to be run by `parallel`.
    """
    parts = config.optimizer.accumulate_steps

    def loss_and_logits(params: Any, stats: Any, images: jax.Array, targets: jax.Array, key: jax.Array) -> Any:
        outputs, new_stats = model.apply(
            {"params": params, **stats}, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        loss = total_loss(outputs, targets, config.loss.label_smoothing, config.loss.aux_weight)
        return loss, (outputs[0] if isinstance(outputs, tuple) else outputs, new_stats)

    def gradients(state: TrainState, images: jax.Array, targets: jax.Array, key: jax.Array) -> Any:
        """Gradients of the scaled loss, summed over the batch's parts, with the logits and the new statistics."""

        def scaled_loss(params: Any, *args: Any) -> Any:
            loss, aux = loss_and_logits(params, *args)
            return loss * state.loss_scale.scale, aux

        params = state.variables["params"]
        stats = {name: value for name, value in state.variables.items() if name != "params"}
        if parts == 1:
            grads, (logits, stats) = jax.grad(scaled_loss, has_aux=True)(params, stats, images, targets, key)
            return grads, logits, stats

        def part(carry: Any, batch: Any) -> Any:
            total, stats = carry
            grads, (logits, stats) = jax.grad(scaled_loss, has_aux=True)(params, stats, *batch)
            return (jax.tree.map(jnp.add, total, grads), stats), logits

        batch = jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), (images, targets))
        zeros = jax.tree.map(jnp.zeros_like, params)
        (grads, stats), logits = lax.scan(part, (zeros, stats), (*batch, jax.random.split(key, parts)))
        return grads, logits.reshape(-1, logits.shape[-1]), stats

    def step(state: TrainState, metrics: Metrics, images: jax.Array, labels: jax.Array) -> tuple[TrainState, Metrics]:
        augment_key, dropout_key = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), state.step))
        n = labels.shape[0]
        # An image's randomness depends on its place in the whole batch, so that any number of devices train alike.
        place = lax.axis_index(AXIS) * n + jnp.arange(n)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(augment_key, place)
        inputs = preprocess.normalize(augment(images, keys, config.augment))
        inputs = erase(inputs, keys, config.augment)
        inputs, targets, labels = mix(inputs, labels, keys, config.augment, model.num_classes)

        grads, logits, stats = gradients(state, inputs, targets, dropout_key)
        grads, stats = lax.pmean((grads, stats), AXIS)
        grads = jax.tree.map(lambda g: g / (state.loss_scale.scale * parts), grads)
        # Through an exchange: XLA's CPU backend would otherwise work it out again for every parameter.
        finite = lax.pmin(all_finite(grads).astype(jnp.int32), AXIS) == 1

        params = state.variables["params"]
        updates, opt_state = optimizer.update(grads, state.opt_state, params)
        rate = schedule(state.step)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        variables = {"params": params, **stats}
        ema = state.ema
        if ema is not None:
            # Early on the average is over few steps (as TensorFlow's ExponentialMovingAverage with num_updates).
            decay = jnp.minimum(config.optimizer.ema_decay, (1 + state.step) / (10 + state.step))
            ema = jax.tree.map(lambda e, v: decay * e + (1 - decay) * v, ema, variables)

        kept = (state.variables, state.opt_state, state.ema)
        variables, opt_state, ema = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (variables, opt_state, ema), kept
        )
        state = TrainState(state.step + 1, variables, opt_state, state.loss_scale.update(finite), ema)
        losses = cross_entropy(logits, targets, config.loss.label_smoothing)
        weights = jnp.broadcast_to(finite, labels.shape).astype(jnp.float32)
        return state, metrics.merge(lax.psum(measure(logits, labels, losses, weights), AXIS))

    return step
