"""The googlenet command: mistakes, and the summary."""

import pytest


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
def test_mistakes_are_one_line_and_status_2(finished_run, googlenet, arguments, word):
    status, _, said = googlenet(*(finished_run if argument == "RUN" else argument for argument in arguments))
    assert (status, len(said.splitlines())) == (2, 1), said
    assert word in said


def test_summary_has_the_papers_total(run_command):
    result = run_command("-m", "googlenet_jax.cli", "summary", "--variant", "paper")
    assert "6,998,552" in result.stdout
    assert "13,378,280" in result.stdout
