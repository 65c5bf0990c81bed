"""Micro-batches on a GPU."""
