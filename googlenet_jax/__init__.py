"""GoogLeNet in JAX."""
