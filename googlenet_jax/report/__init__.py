"""What a network learnt, where it fails, and whether another is better: one page."""
