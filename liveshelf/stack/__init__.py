"""Verbs for the stack on this machine."""
