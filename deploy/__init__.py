"""How Liveshelf is run: the local stack here, other places in their own folders."""
