"""Models: encoders, the heads beside them, tasks and losses. Nothing here reads a file."""
