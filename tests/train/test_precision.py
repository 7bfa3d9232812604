"""The loss scale against plain arithmetic."""

import jax.numpy as jnp
from conftest import small_config

from googlenet_jax.train.precision import make_loss_scale


def test_dynamic_loss_scale_halves_and_doubles():
    config = small_config(
        precision__compute_dtype="float16", precision__loss_scale=8.0, precision__growth_steps=2
    ).precision
    scale = make_loss_scale(config)
    seen = []
    for finite in (False, True, True, True, False, False):
        scale = scale.update(jnp.asarray(finite))
        seen.append((float(scale.scale), int(scale.skipped), int(scale.skipped_in_a_row)))
    assert seen == [(4, 1, 1), (4, 1, 0), (8, 1, 0), (8, 1, 0), (4, 2, 1), (2, 3, 2)]


def test_fixed_and_no_loss_scale_stay():
    for scaling, expected in (("fixed", 1024.0), ("none", 1.0), ("auto", 1.0)):
        scale = make_loss_scale(small_config(precision__loss_scaling=scaling, precision__loss_scale=1024.0).precision)
        assert float(scale.update(jnp.asarray(False)).update(jnp.asarray(True)).scale) == expected
