"""Puts a training together from its configuration: network, optimizer, schedule, state and the parallel step."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import optax

from googlenet_jax.data.preprocess import Preprocess, make_preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.make_model import make_model
from googlenet_jax.system.parallel import AXIS, parallel, replicate, select_devices, split_batch
from googlenet_jax.train.calendar import Calendar, make_calendar
from googlenet_jax.train.optimizer import kind_of, make_optimizer
from googlenet_jax.train.packing import Packing, pack, unpack
from googlenet_jax.train.schedule import make_schedule
from googlenet_jax.train.state import Measured, TrainState, abstract_variables, create_state, draw_variables
from googlenet_jax.train.step import make_train_step

# What runs once takes as long as compiling it, which is to be done with the least effort.
_QUICKLY = {"xla_backend_optimization_level": 0}


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training is made of.

    Attributes:
      config: the whole configuration that it is made from.
      model: the network as it is trained.
      preprocess: what is done to images before it.
      schedule: learning rate by step.
      calendar: its epochs and steps.
      devices: it runs on.
      packings: how trees lie on the devices, see `make_packings`.
      step: the train step on all devices: (state, measured, images, labels) -> (state, measured), the first two
        placed by `place` and overwritten, images (devices, n, h, w, 3) uint8 and labels (devices, n) int32.
      init: the state at step 0, from variables.
    """

    config: ml_collections.ConfigDict
    model: GoogLeNet
    preprocess: Preprocess
    schedule: optax.Schedule
    devices: list[jax.Device]
    calendar: Calendar
    packings: tuple[Packing, ...]
    step: Callable[..., tuple[TrainState, Measured]]
    init: Callable[[Any], TrainState]

    def create(self) -> TrainState:
        """The state at step 0, on the default device."""
        init = jax.jit(self.init, compiler_options=_QUICKLY)
        return init(draw_variables(self.model, self.config))

    def abstract(self) -> TrainState:
        """Shapes and types of the state."""
        return jax.eval_shape(self.init, abstract_variables(self.model, self.config))

    def place(self, tree: Any) -> Any:
        """Puts a tree on every device, as `step` takes it."""
        return replicate(_pack(tree, self.packings), self.devices)

    def take(self, tree: Any) -> Any:
        """A tree that `place` put there, or a part of it, as it was before."""
        return _unpack(tree)

    def split(self, batch: Any) -> Any:
        """Shapes a batch for `step`."""
        return split_batch(batch, self.devices)

    def start(self) -> tuple[TrainState, Measured]:
        """State and measurements at step 0, on every device."""
        return self.place((self.create(), Measured.empty()))


def build_training(config: ml_collections.ConfigDict, num_images: int, num_classes: int) -> Training:
    """Puts a training together.

    Args:
      config: the whole, valid configuration.
      num_images: in the training set.
      num_classes: of the dataset.

    Returns:
      A `Training`; nothing has been compiled yet.

    Raises:
      UserError: if the devices do not suffice, the batch does not divide among them or into pairs to mix, or there is
        no whole step.
    """
    repeats = config.augment.repeats
    if (config.augment.mixup or config.augment.cutmix) and repeats > 1 and config.batch_size // repeats % 2:
        raise UserError(
            f"config.batch_size={config.batch_size} has an odd number of images {repeats} times each "
            f"(config.augment.repeats), which mixup and cutmix would mix with themselves: take one that {2 * repeats} "
            "divides"
        )
    devices = select_devices(config.num_devices, config.batch_size, config.optimizer.accumulate_steps)
    model = make_model(config, num_classes, AXIS)
    preprocess = make_preprocess(config)
    optimizer = make_optimizer(config.optimizer)
    calendar = make_calendar(config.num_epochs, num_images, config.batch_size)
    course = make_schedule(config.schedule, calendar.steps_per_epoch, config.num_epochs)
    packings = make_packings(model, config, devices[0].platform)
    step = make_train_step(model, optimizer, course, preprocess, config, packings)
    return Training(
        config=config,
        model=model,
        preprocess=preprocess,
        schedule=lambda step: config.optimizer.learning_rate * course(step),
        devices=devices,
        calendar=calendar,
        packings=packings,
        step=parallel(step, devices, replicated=2, split=2, donate=2),
        init=lambda variables: create_state(variables, optimizer, config),
    )


def make_packings(model: GoogLeNet, config: ml_collections.ConfigDict, platform: str) -> tuple[Packing, ...]:
    """How the parameters and running statistics lie in vectors while they are trained.

    Args:
      model: the network.
      config: the whole configuration.
      platform: of the devices.

    Returns:
      Packings of all trees like the parameters, one vector a kind, and like the statistics, one vector; none where the
      optimizer treats single parameters apart.
    """
    if config.optimizer.freeze or config.optimizer.lr_factors:
        return ()
    variables = abstract_variables(model, config)
    params = Packing.of(variables["params"], kind_of, features_first=platform != "cpu")
    return (params, *(Packing.of(tree, lambda _: "statistic") for name, tree in variables.items() if name != "params"))


@functools.partial(jax.jit, static_argnums=1, compiler_options=_QUICKLY)
def _pack(tree: Any, packings: tuple[Packing, ...]) -> Any:
    return pack(tree, *packings)


_unpack = jax.jit(unpack, compiler_options=_QUICKLY)
