"""What a training is told: fields, choices, overrides. Recipes take what they need from here."""

from googlenet_jax.config.checks import validate
from googlenet_jax.config.choices import NORMALIZATIONS
from googlenet_jax.config.fields import FIELDS, default_config
from googlenet_jax.config.from_json import from_json, to_json
from googlenet_jax.config.overrides import override

__all__ = ["FIELDS", "NORMALIZATIONS", "default_config", "from_json", "override", "to_json", "validate"]
