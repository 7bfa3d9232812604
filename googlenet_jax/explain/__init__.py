"""Which pixels speak for a class, and a picture of it."""
