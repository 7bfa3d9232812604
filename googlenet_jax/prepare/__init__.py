"""Datasets into fast random-access files: what `googlenet prepare` does."""
