"""Verbs for the Flink job and its state."""
