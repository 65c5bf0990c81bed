"""Backup of the whole system into a folder, and restore."""
