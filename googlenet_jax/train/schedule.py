"""The learning rate's course as a function of the step, from a configuration in epochs."""

from typing import NamedTuple

import jax.numpy as jnp
import ml_collections
import optax

from googlenet_jax.config.choices import SCHEDULES


class Course(NamedTuple):
    """What every schedule is told besides its configuration.

    Attributes:
      steps_per_epoch: need not be whole.
      warmup: steps of linear rise ahead of the schedule's own course.
      falling: steps from the end of the warmup to the end of the training.
    """

    steps_per_epoch: float
    warmup: int
    falling: int

    def steps(self, epochs: float) -> int:
        """A length of time in steps."""
        return round(epochs * self.steps_per_epoch)


def make_schedule(config: ml_collections.ConfigDict, steps_per_epoch: float, num_epochs: float) -> optax.Schedule:
    """The schedule that `config.schedule` describes.

    Every schedule is counted from step 0, except that cosine and polynomial fall from the end of the warmup to the
    last step; during warmup the rate rises linearly from zero to where the schedule then stands.

    Args:
      config: the `schedule` group.
      steps_per_epoch: need not be whole.
      num_epochs: length of the training.

    Returns:
      A function from the step (int array) to what the base rate is multiplied by (float32 array).
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    falling = max(round(num_epochs * steps_per_epoch) - warmup, 1)
    schedule = SCHEDULES[config.name].load()(config, Course(steps_per_epoch, warmup, falling))
    if not warmup:
        return schedule
    return optax.join_schedules(
        [optax.linear_schedule(0.0, schedule(warmup), warmup), _shift(schedule, -warmup)], [warmup]
    )


def constant(config: ml_collections.ConfigDict, course: Course) -> optax.Schedule:
    """The base rate throughout; arguments as for the other schedules.

    Args:
      config: the `schedule` group.
      course: see `Course`.

    Returns:
      A function of the step.
    """
    return optax.constant_schedule(1.0)


def piecewise(config: ml_collections.ConfigDict, course: Course) -> optax.Schedule:
    """Times factors[i] from boundaries[i] on."""
    factors: dict[int, float] = {}
    for boundary, factor in zip(map(course.steps, config.boundaries), config.factors, strict=True):
        factors[boundary] = factors.get(boundary, 1.0) * factor  # two may fall on one step
    return optax.piecewise_constant_schedule(1.0, factors)


def piecewise_exponential(config: ml_collections.ConfigDict, course: Course) -> optax.Schedule:
    """Exponential decay at a rate that changes at the boundaries: by factors[i] between boundaries i - 1 and i."""
    knots = jnp.asarray([0, *map(course.steps, config.boundaries)], jnp.float32)
    logs = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.log(jnp.asarray(config.factors, jnp.float32)))])
    return lambda step: jnp.exp(jnp.interp(jnp.asarray(step, jnp.float32), knots, logs))


def exponential(config: ml_collections.ConfigDict, course: Course) -> optax.Schedule:
    """Times decay_rate every decay_epochs, smoothly or at once; the paper's: 4 % every 8 epochs (section 6)."""
    steps = max(course.steps(config.decay_epochs), 1)
    return optax.exponential_decay(1.0, steps, config.decay_rate, staircase=config.staircase)


def polynomial(config: ml_collections.ConfigDict, course: Course) -> optax.Schedule:
    """The base rate times a power of the share of steps left, Caffe's `poly`."""
    return optax.polynomial_schedule(1.0, config.final_factor, config.power, course.falling, course.warmup)


def cosine(config: ml_collections.ConfigDict, course: Course) -> optax.Schedule:
    """Half a cosine from the base rate down to final_factor of it (arXiv 1608.03983)."""
    decay = optax.cosine_decay_schedule(1.0, course.falling, config.final_factor)
    return _shift(decay, course.warmup)


def _shift(schedule: optax.Schedule, steps: int) -> optax.Schedule:
    return lambda step: schedule(jnp.maximum(step - steps, 0))
