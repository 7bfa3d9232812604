"""Trains or evaluates a GoogLeNet from a configuration; `python launch.py --help` shows how."""

from pathlib import Path

from googlenet_jax.cli.launch import main

if __name__ == "__main__":
    main(default_recipe=Path(__file__).parent / "configs" / "digits.py")
