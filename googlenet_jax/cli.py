"""The `googlenet` command: parse, call, print."""

import sys


def main() -> None:
    sys.exit(0)


def show_evaluation(path):
    pass
