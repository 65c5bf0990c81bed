"""Verbs for one shopper."""
