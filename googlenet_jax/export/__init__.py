"""This project's networks in the formats of others."""
