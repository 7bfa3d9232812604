"""Encoded images that give any window of themselves."""
