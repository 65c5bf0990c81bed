"""Exploration without its engine: which items with few impressions, and which new products, deserve a place of a list."""
