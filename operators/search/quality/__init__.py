"""How good a search is, against judgments."""
