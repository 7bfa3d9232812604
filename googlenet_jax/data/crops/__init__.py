"""Which part of an image is taken, and at what size."""
