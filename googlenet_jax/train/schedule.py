"""The learning rate as a function of the step, from a configuration in epochs."""

import jax.numpy as jnp
import ml_collections
import optax


def make_schedule(
    config: ml_collections.ConfigDict, learning_rate: float, steps_per_epoch: float, num_epochs: float
) -> optax.Schedule:
    """The schedule that `config.schedule` describes.

    Every schedule is counted from step 0, except that cosine and polynomial fall from the end of the warmup to the
    last step; during warmup the rate rises linearly from zero to where the schedule then stands.

    Args:
      config: the `schedule` group.
      learning_rate: the base rate.
      steps_per_epoch: need not be whole.
      num_epochs: length of the training.

    Returns:
      A function from the step (int array) to the rate (float32 array).
    """

    def steps(epochs: float) -> int:
        return round(epochs * steps_per_epoch)

    warmup = steps(config.warmup_epochs)
    falling = max(steps(num_epochs) - warmup, 1)
    schedules = {
        "constant": lambda: optax.constant_schedule(learning_rate),
        "piecewise": lambda: optax.piecewise_constant_schedule(
            learning_rate, dict(zip(map(steps, config.boundaries), config.factors, strict=True))
        ),
        "piecewise_exponential": lambda: _piecewise_exponential(
            learning_rate, [steps(b) for b in config.boundaries], config.factors
        ),
        "exponential": lambda: optax.exponential_decay(
            learning_rate, max(steps(config.decay_epochs), 1), config.decay_rate, staircase=config.staircase
        ),
        "polynomial": lambda: optax.polynomial_schedule(
            learning_rate, learning_rate * config.final_factor, config.power, falling, transition_begin=warmup
        ),
        "cosine": lambda: _shift(optax.cosine_decay_schedule(learning_rate, falling, config.final_factor), warmup),
    }
    schedule = schedules[config.name]()
    if not warmup:
        return schedule
    return optax.join_schedules(
        [optax.linear_schedule(0.0, schedule(warmup), warmup), _shift(schedule, -warmup)], [warmup]
    )


def _shift(schedule: optax.Schedule, steps: int) -> optax.Schedule:
    return lambda step: schedule(jnp.maximum(step - steps, 0))


def _piecewise_exponential(learning_rate: float, boundaries: list[int], factors: tuple[float, ...]) -> optax.Schedule:
    """Exponential decay at a rate that changes at the boundaries: by factors[i] between boundaries i - 1 and i."""
    knots = jnp.asarray([0, *boundaries], jnp.float32)
    logs = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.log(jnp.asarray(factors, jnp.float32)))])
    return lambda step: learning_rate * jnp.exp(jnp.interp(jnp.asarray(step, jnp.float32), knots, logs))
