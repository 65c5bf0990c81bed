"""Topics as a whole: made, read, archived, filled, replayed into."""
