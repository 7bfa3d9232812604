"""What a training leaves: directory, metrics, checkpoints, and their mirror in a bucket."""
