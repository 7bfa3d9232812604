"""The server of `googlenet serve`: its page and what answers it."""
