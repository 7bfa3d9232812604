"""Exported files, opened: each runs in its own runtime and says what it takes and tells apart."""
