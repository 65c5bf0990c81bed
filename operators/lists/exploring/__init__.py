"""One place of a list explores."""
