"""Distributions that parameters are drawn from: as data, which Flax takes for its initialisers and numpy draws from."""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

_WITHIN_2 = 0.87962566103423978  # deviation of a standard normal that is cut off at 2


@dataclasses.dataclass(frozen=True)
class Initializer:
    """A distribution, independent for each element.

    Attributes:
      distribution: "normal"; "truncated", a normal cut off at two deviations; "uniform" around 0; or "constant".
      scale: deviation of the normals before they are cut, half the uniform's width, or the constant; with `fan_in`
        the variance times the inputs of each output, after what is cut.
      fan_in: whether the variance depends on the shape.
    """

    distribution: Literal["normal", "truncated", "uniform", "constant"]
    scale: float
    fan_in: bool = False

    def __call__(self, key: jax.Array, shape: Any, dtype: Any = jnp.float32, **_: Any) -> jax.Array:
        """As Flax calls an initialiser: an array of that shape, drawn by JAX."""
        if self.distribution == "constant":
            return jnp.full(shape, self.scale, dtype)
        if self.distribution == "uniform":
            values = jax.random.uniform(key, shape, dtype, -1, 1)
        elif self.distribution == "truncated":
            values = jax.random.truncated_normal(key, -2, 2, shape, dtype)
        else:
            values = jax.random.normal(key, shape, dtype)
        return values * jnp.asarray(self._factor(shape), dtype)

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """A float32 array of that shape, drawn by numpy."""
        if self.distribution == "constant":
            return np.full(shape, self.scale, np.float32)
        if self.distribution == "uniform":
            values = 2 * random.random(shape, np.float32) - 1
        else:
            values = random.standard_normal(shape, np.float32)
        while self.distribution == "truncated" and (beyond := np.abs(values) > 2).any():
            values[beyond] = random.standard_normal(int(beyond.sum()), np.float32)
        return values * np.float32(self._factor(shape))

    def _factor(self, shape: Any) -> float:
        """What standard draws (deviation 1, or -1 to 1) are multiplied by."""
        if not self.fan_in:
            return self.scale
        deviation = math.sqrt(self.scale / math.prod(shape[:-1]))
        return deviation * {"normal": 1.0, "truncated": 1 / _WITHIN_2, "uniform": math.sqrt(3)}[self.distribution]


ZEROS, ONES = Initializer("constant", 0.0), Initializer("constant", 1.0)
