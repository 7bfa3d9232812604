"""The network, its families, and its layers: pure Flax."""
