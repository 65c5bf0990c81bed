"""Which model bundles make lists: champion, challengers, shadow and previous, and which of them serves a user."""
