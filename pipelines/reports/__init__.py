"""Reports on data, for people."""
