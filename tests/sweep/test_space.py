"""What --sweep understands, and what it says of what it does not."""

import pytest

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.space import read_space
from googlenet_jax.sweep.trials import describe


def test_lists_are_crossed_in_order():
    space = read_space(["optimizer.learning_rate=0.1,1e-2", "seed=0..2"])
    assert space.fields == ["optimizer.learning_rate", "seed"]
    assert [(c["optimizer.learning_rate"], c["seed"]) for c in space.combinations] == [
        (0.1, 0),
        (0.1, 1),
        (0.1, 2),
        (0.01, 0),
        (0.01, 1),
        (0.01, 2),
    ]


def test_values_are_read_as_on_the_command_line():
    space = read_space(
        ["schedule.boundaries=(3,6),(4,8)", "model.dropout=none,0.5", "model.aux_heads=true,no", "model.variant=paper"]
    )
    first, last = space.combinations[0], space.combinations[-1]
    assert first == {
        "schedule.boundaries": (3.0, 6.0),
        "model.dropout": None,
        "model.aux_heads": True,
        "model.variant": "paper",
    }
    assert (last["schedule.boundaries"], last["model.dropout"], last["model.aux_heads"]) == ((4.0, 8.0), 0.5, False)


def test_quotes_keep_commas_and_apostrophes_are_letters():
    space = read_space(["dataset.name='folder:/a,b',folder:/o'brien,folder:/c"])
    assert [c["dataset.name"] for c in space.combinations] == ["folder:/a,b", "folder:/o'brien", "folder:/c"]


def test_no_sweep_takes_all_memory(tmp_path):
    with pytest.raises(UserError, match="100000000 combinations"):
        read_space(["seed=0..9999", "batch_size=1..10000"])
    endless = tmp_path / "endless.py"
    endless.write_text("def sweep():\n    while True:\n        yield {'seed': 1}\n")
    with pytest.raises(UserError, match="yields more than 100000"):
        read_space([str(endless)])


def test_equal_values_count_once():
    assert len(read_space(["optimizer.learning_rate=0.1,1e-1,0.10"]).combinations) == 1


def test_ranges_are_searched_beside_lists():
    space = read_space(["optimizer.learning_rate=log(1e-3,1)", "seed=0,1", "model.variant=choice(paper,batchnorm)"])
    assert [c["seed"] for c in space.combinations] == [0, 1]
    rate, variant = space.ranges["optimizer.learning_rate"], space.ranges["model.variant"]
    assert [rate.at(share) for share in (0, 0.5, 1)] == pytest.approx([1e-3, 10**-1.5, 1])
    assert [variant.at(share) for share in (0, 0.49, 0.51, 1)] == ["paper", "paper", "batchnorm", "batchnorm"]


def test_whole_numbers_are_drawn_evenly_with_both_ends():
    span = read_space(["batch_size=int(3,5)"]).ranges["batch_size"]
    assert [span.at(i / 8) for i in range(9)] == [3, 3, 3, 4, 4, 4, 5, 5, 5]


FILE = """
def rates():
    return (0.1, 0.2)

def sweep():
    for rate in rates():
        yield {"optimizer.learning_rate": rate, "optimizer.weight_decay": "1e-4"}

def sweep_seeds():
    yield {"seed": 0}
    yield {"seed": 1}

def sweep_search():
    yield {"model.dropout": "uniform(0,0.5)"}
"""


def test_a_files_functions_multiply_and_can_be_named(tmp_path):
    path = tmp_path / "my sweep.py"
    path.write_text(FILE)
    space = read_space([str(path)])
    assert len(space.combinations) == 4
    assert space.combinations[0]["optimizer.weight_decay"] == 1e-4
    assert list(space.ranges) == ["model.dropout"]
    assert read_space([f"{path}:seeds"]).combinations == [{"seed": 0}, {"seed": 1}]
    assert len(read_space([f"{path}:sweep,seeds"]).combinations) == 4
    assert len(read_space([f"{path}:sweep", f"{path}:seeds", "num_epochs=1,2"]).combinations) == 8


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("optimizer.lerning_rate=0.1", "did you mean 'optimizer.learning_rate'?"),
        ("seed=a", "config.seed='a' is not a whole number"),
        ("seed=", "there is no value"),
        ("seed=-1", "not allowed"),
        ("seed=4..0", "counts no values"),
        ("optimizer.learning_rate=log(1,1e-3)", "the range is empty"),
        ("optimizer.learning_rate=log(0,1)", "begins above 0"),
        ("optimizer.learning_rate=uniform(1)", "takes two numbers"),
        ("optimizer.learning_rate=uniform(-1,1)", "not allowed"),
        ("seed=uniform(0,1)", "searched by int(LOW,HIGH) or choice(...)"),
        ("model.variant=log(1,2)", "searched by choice(...)"),
        ("model.variant=choice()", "nothing to choose from"),
        ("model.variant=choice(paper,vgg)", "not allowed"),
        ("seed=0..200000", "more than 100000 values"),
        ("dataset.name='folder:/a,folder:/b", "a quote that is not closed"),
        ("schedule.boundaries=(1,2", "a bracket or a quote that is not closed"),
        ("nowhere.py:", "nowhere.py"),
        ("nowhere.py", "there is no such file"),
    ],
)
def test_what_makes_no_sense_is_one_line(given, said):
    with pytest.raises(UserError) as error:
        read_space([given])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def sweep(): return [1]", "yields 1"),
        ("def sweep(): return []", "yields nothing"),
        ("def sweep(): return [{'sed': 1}]", "did you mean 'seed'?"),
        ("def other(): pass", "has no function sweep()"),
        ("def sweep(): return 1 / 0", "ZeroDivisionError: division by zero (line 1)"),
        ("this is no Python", "SyntaxError"),
        ("def sweep(): return [{'seed': 'int(0,3)'}, {'seed': 4}]", "ranges beside other overrides"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(tmp_path, text, said):
    path = tmp_path / "sweep.py"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_space([str(path)])
    assert said in str(error.value)
    with pytest.raises(UserError, match="no such function"):
        path.write_text("def sweep(): yield {'seed': 1}")
        read_space([f"{path}:nothing"])


def test_a_field_is_swept_once():
    with pytest.raises(UserError, match="seed is swept already"):
        read_space(["seed=0,1", "seed=2"])


def test_what_every_trial_sets(tmp_path):
    (tmp_path / "s.py").write_text("def sweep():\n    yield {'seed': 1}\n    yield {'seed': 2, 'num_epochs': 3.0}\n")
    space = read_space([str(tmp_path / "s.py"), "optimizer.learning_rate=log(0.1,1)", "batch_size=8,16"])
    assert space.always == {"seed", "optimizer.learning_rate", "batch_size"}


def test_fields_that_share_a_last_name_are_named_in_full():
    assert describe({"optimizer.name": "sgd", "schedule.name": "cosine", "seed": 1}) == (
        "optimizer.name=sgd schedule.name=cosine seed=1"
    )
    assert describe({"optimizer.learning_rate": 0.0123456, "schedule.boundaries": (1.0, 2.0)}) == (
        "learning_rate=0.01235 boundaries=1,2"
    )
    assert describe({}) == "the recipe as it is"
