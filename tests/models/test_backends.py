"""The whole network, written as for a CPU, as for other backends, and plainly: the same mathematics, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from googlenet_jax.models import googlenet, inception, layers
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.normalization import by_channel
from googlenet_jax.models.variants import PRESETS


def plain_pool(x, pool):
    (window, stride, _), padding = pool, ((0, 0), *pool.padding(x.shape[1:3]), (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, window, window, 1), (1, stride, stride, 1), padding)


def plain_norm(x, scale, shift, epsilon, relu, axis_name):
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    y = (x - by_channel(mean)) / by_channel(jnp.sqrt(var + epsilon)) * by_channel(scale) + by_channel(shift)
    return (jnp.maximum(y, 0) if relu else y), lax.stop_gradient(mean), lax.stop_gradient(var)


def plain_norm_pool(x, scale, shift, epsilon, axis_name, pool):
    y, mean, var = plain_norm(x, scale, shift, epsilon, True, axis_name)
    return plain_pool(y, pool), mean, var


@pytest.mark.parametrize("name", ["batchnorm", "mindspore", "paper"])
def test_loss_gradients_and_statistics_do_not_depend_on_how_they_are_written(name, as_on, monkeypatch):
    model = GoogLeNet(5, PRESETS[name], blocks=("3b", "4a"), dtype=jnp.float64)
    random = np.random.default_rng(0)
    images, weights = random.standard_normal((4, 64, 64, 3)), random.standard_normal((4, 5))
    with jax.enable_x64():
        shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3))))
    # Scales and running statistics of any sign, so that a pool before a negative scale is seen.
    variables = jax.tree.map(lambda leaf: random.standard_normal(leaf.shape) / leaf.shape[0] ** 0.5, shapes)

    def loss(params):
        given = {**variables, "params": params}
        outputs, stats = model.apply(given, images, True, mutable=["batch_stats"])
        main, *heads = outputs if isinstance(outputs, tuple) else (outputs,)
        return sum((head * weights).sum() for head in (main, *heads)), stats

    def results():
        return jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])

    with jax.enable_x64():
        as_on("cpu")
        cpu = results()
        as_on("others")
        others = results()
        monkeypatch.setattr(layers, "batch_norm", plain_norm)
        monkeypatch.setattr(layers, "batch_norm_pool", plain_norm_pool)
        for module in (layers, inception, googlenet):
            monkeypatch.setattr(module, "max_pool", plain_pool)
        plain = results()
    for way in (cpu, others):
        for a, b in zip(jax.tree.leaves(way), jax.tree.leaves(plain), strict=True):
            assert np.abs(a - b).max() <= 1e-9 * np.abs(b).max() + 1e-12
