"""Where trainings run: one module a place, one interface."""
