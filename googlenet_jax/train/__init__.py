"""Training: loss, schedule, optimizer, precision, state, the parallel step, the loop."""
