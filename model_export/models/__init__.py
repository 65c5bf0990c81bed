"""Models: encoders, their heads, tasks and losses. Only `adapters` reads or writes files."""
