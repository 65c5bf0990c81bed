"""Whole topics: create, read, archive, fill, replay into."""
