"""Verbs for topics and files of records."""
