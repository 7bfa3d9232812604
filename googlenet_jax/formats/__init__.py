"""Files of other systems <-> named arrays. Nothing in a file is executed."""

# Bytes that a file, and what it unpacks to, may take; a training checkpoint in float64 has a quarter of it.
LIMIT = 512 << 20
