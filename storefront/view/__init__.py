"""The local tables of lists and items, and what is served from them."""
