"""Text vectors of queries and items, and what is near."""
