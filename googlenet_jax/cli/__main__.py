"""`python -m googlenet_jax.cli` is the `googlenet` command."""

from googlenet_jax.cli.main import main

main()
