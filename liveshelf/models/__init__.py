"""Verbs for models and bundles."""
