"""A user's state: its bytes, what an event does to it, and what a model sees of it."""
