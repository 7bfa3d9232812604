"""Each table of choices is what implements it."""

import pytest

from googlenet_jax.config import choices
from googlenet_jax.config.choices import Choice, chosen
from googlenet_jax.errors import UserError
from googlenet_jax.models.googlenet import TABLE_1
from googlenet_jax.models.variants import PRESETS

TABLES = {name: table for name, table in vars(choices).items() if name.isupper() and isinstance(table, dict)}
ROWS = [(table, name) for table, rows in TABLES.items() for name, row in rows.items() if isinstance(row, Choice)]


@pytest.mark.parametrize(("table", "name"), ROWS)
def test_every_row_can_be_loaded(table, name):
    try:
        assert TABLES[table][name].load() is not None
    except UserError as error:  # of a package that this environment lacks
        assert table == "WRITERS"
        pytest.skip(str(error))


def test_families_and_blocks_are_the_networks():
    assert list(choices.FAMILIES) == list(PRESETS) == [preset.name for preset in PRESETS.values()]
    assert list(TABLE_1) == list(choices.BLOCKS)
    assert choices.DEVICE_CROPS.keys() <= choices.CROPS.keys()


def test_an_unknown_name_is_an_error_that_names_the_nearest():
    assert chosen(choices.STEMS, "small", "the stem").strides == (1, 1, 2)
    with pytest.raises(UserError, match="the optimizer 'sdg' is not known: did you mean 'sgd'"):
        chosen(choices.OPTIMIZERS, "sdg", "the optimizer")
    with pytest.raises(UserError, match="choose one of digits, synthetic, folder"):
        chosen(choices.DATASETS, "xyz", "the dataset")
