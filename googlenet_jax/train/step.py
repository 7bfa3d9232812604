"""The train step: one function of state and batch, written for one device's share and run by `parallel`."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax import lax

from googlenet_jax.data.augment.batch import augment, erase
from googlenet_jax.data.augment.mixing import mix
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.evaluate.metrics import cross_entropy, measure
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.system.parallel import AXIS
from googlenet_jax.train.loss import total_loss
from googlenet_jax.train.packing import Packing, pack, unpack
from googlenet_jax.train.state import Measured, TrainState

Step = Callable[[TrainState, Measured, jax.Array, jax.Array], tuple[TrainState, Measured]]
Loss = Callable[..., Any]


def make_train_step(
    model: GoogLeNet,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    preprocess: Preprocess,
    config: ml_collections.ConfigDict,
    packings: Sequence[Packing] = (),
) -> Step:
    """The train step of a configuration.

    Args:
      model: the network, with `axis_name` set to `AXIS`.
      optimizer: from `make_optimizer`.
      schedule: from `make_schedule`.
      preprocess: normalises images.
      config: the whole configuration.
      packings: of the state's trees.

    Returns:
      A function of the state, what was measured so far, (n, h, w, 3) uint8 images and (n,) int32 labels that gives the
      new state and measurements; to be run by `parallel`.
    """
    loss = _make_loss(model, config)

    def step(state: TrainState, so_far: Measured, images: jax.Array, labels: jax.Array) -> tuple[TrainState, Measured]:
        keys, dropout_key = _random_keys(state.seed, state.step, len(labels))
        images = preprocess.normalize(augment(images, keys, config.augment))
        images = erase(images, keys, config.augment)
        images, targets, labels = mix(images, labels, keys, config.augment, model.num_classes)

        grads, logits, stats = _gradients(loss, state, images, targets, dropout_key, config.optimizer.accumulate_steps)
        grads, stats = lax.pmean(pack((grads, stats), *packings), AXIS)
        norm = optax.tree.norm(grads)
        # Through an exchange: XLA's CPU backend would otherwise work it out again for every parameter.
        finite = lax.pmin(jnp.isfinite(norm).astype(jnp.int32), AXIS) == 1

        state = _updated(state, grads, stats, finite, optimizer, schedule, config.optimizer.ema_decay)
        losses = cross_entropy(logits, targets, config.loss.label_smoothing)
        weights = jnp.broadcast_to(finite, labels.shape).astype(jnp.float32)
        metrics = lax.psum(measure(logits, labels, losses, weights), AXIS)
        return state, so_far.merge(metrics, jnp.where(finite, norm, 0), finite)

    return step


def _random_keys(seed: jax.Array, step: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """(n,) keys of this device's images, and dropout's; an image's is the same on any number of devices."""
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), step))
    place = lax.axis_index(AXIS) * n + jnp.arange(n)  # in the whole batch
    return jax.vmap(jax.random.fold_in, (None, 0))(augment_key, place), dropout_key


def _make_loss(model: GoogLeNet, config: ml_collections.ConfigDict) -> Loss:
    """(parameters, statistics, images, targets, dropout key, scale) -> (scaled loss, (logits, new statistics))."""

    def loss(params: Any, stats: Any, images: jax.Array, targets: jax.Array, key: jax.Array, scale: jax.Array) -> Any:
        variables = {"params": params, **stats}
        outputs, new = model.apply(variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        total = total_loss(outputs, targets, config.loss.label_smoothing, config.loss.aux_weight)
        return total * scale, (outputs[0] if isinstance(outputs, tuple) else outputs, new)

    return loss


def _gradients(
    loss: Loss, state: TrainState, images: jax.Array, targets: jax.Array, key: jax.Array, parts: int
) -> tuple[Any, jax.Array, Any]:
    """The loss's gradients over this device's images in so many parts, the logits, and the new statistics."""
    gradient, scale = jax.grad(loss, has_aux=True), state.loss_scale.scale
    variables = unpack(state.variables)
    params, stats = variables["params"], {name: value for name, value in variables.items() if name != "params"}
    if parts == 1:
        grads, (logits, stats) = gradient(params, stats, images, targets, key, scale)
        return jax.tree.map(lambda g: g / scale, grads), logits, stats

    def part(carry: Any, batch: Any) -> Any:
        total, stats = carry
        grads, (logits, stats) = gradient(params, stats, *batch, scale)
        return (jax.tree.map(jnp.add, total, grads), stats), logits

    batch = jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), (images, targets))
    zeros = jax.tree.map(jnp.zeros_like, params)
    (grads, stats), logits = lax.scan(part, (zeros, stats), (*batch, jax.random.split(key, parts)))
    return jax.tree.map(lambda g: g / (scale * parts), grads), logits.reshape(-1, logits.shape[-1]), stats


def _updated(
    state: TrainState,
    grads: Any,
    stats: Any,
    finite: jax.Array,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    ema_decay: float | None,
) -> TrainState:
    """The state after a step; one whose gradients are not finite changes nothing but its count."""
    params = state.variables["params"]
    updates, opt_state = optimizer.update(grads, state.opt_state, params)
    rate = state.learning_rate * schedule(state.step)
    params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
    variables, ema = {"params": params, **stats}, state.ema
    if ema_decay is not None:
        # Early on the average is over few steps (as TensorFlow's ExponentialMovingAverage with num_updates).
        decay = jnp.minimum(ema_decay, (1 + state.step) / (10 + state.step))
        ema = jax.tree.map(lambda e, v: decay * e + (1 - decay) * v, ema, variables)
    new, old = (variables, opt_state, ema), (state.variables, state.opt_state, state.ema)
    new = jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)
    variables, opt_state, ema = new
    loss_scale = state.loss_scale.update(finite)
    return state.replace(step=state.step + 1, variables=variables, opt_state=opt_state, loss_scale=loss_scale, ema=ema)
