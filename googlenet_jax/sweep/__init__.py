"""Many trainings as one question: trials from overrides, search, executors, results."""
