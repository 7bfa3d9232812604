"""`googlenet benchmark`: what it measures is no test's business, that it does and says so is."""

import json

import pytest


@pytest.fixture
def benchmark(finished_run, googlenet):
    """Runs the command and gives what it printed."""

    def run(*arguments):
        status, printed, said = googlenet("benchmark", "--checkpoint", finished_run, "--seconds", "0.01", *arguments)
        assert status == 0, said
        return printed

    return run


def test_a_run_is_timed_by_the_number_of_images(benchmark, finished_run):
    found = json.loads(benchmark("--batch", "1,3", "--json"))
    assert [(row["checkpoint"], row["batch"]) for row in found] == [(str(finished_run), n) for n in (1, 3)]
    for row in found:
        assert 0 < row["median"] <= row["p99"]
        assert row["images_per_second"] > 0 and row["decoded_images_per_second"] > 0


def test_a_table_has_a_row_for_each(benchmark):
    assert benchmark("--batch", "2,3").count("│ 2 ") == 1
