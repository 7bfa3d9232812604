"""Checkpoints of other systems -> variables of the one network. Nothing in a file is executed."""
