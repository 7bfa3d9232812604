"""The googlenet command: mistakes, and the summary."""

import pytest


@pytest.fixture
def run(finished_run):
    return finished_run


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["predict", "--checkpoint", "RUN", "nowhere.png"], "nowhere.png"),
        (["predict", "--checkpoint", "nowhere", "README.md"], "nowhere"),
        (["evaluate", "--checkpoint", "RUN", "--dataset", "digits"], "10 classes"),
        (["evaluate", "--checkpoint", "configs"], "no checkpoint"),
        (["summary", "--variant", "papr"], "did you mean 'paper'"),
    ],
)
def test_mistakes_are_one_line_and_status_2(run, run_command, arguments, word):
    arguments = [str(run) if argument == "RUN" else argument for argument in arguments]
    result = run_command("-m", "googlenet_jax.cli", *arguments)
    assert result.returncode == 2
    assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_summary_has_the_papers_total(run_command):
    result = run_command("-m", "googlenet_jax.cli", "summary", "--variant", "paper")
    assert "6,998,552" in result.stdout
    assert "13,378,280" in result.stdout
