"""Verbs of search."""
