"""The HTTP server: classifies pictures for programs and people, many requests at once."""

ENSEMBLE = "ensemble"  # the name of all models' mean
