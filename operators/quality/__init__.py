"""How good events, the catalogue and lists are: expectations, drift, reports on files."""
