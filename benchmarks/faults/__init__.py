"""Faults while load runs, and an oracle that says what must have come of it."""
