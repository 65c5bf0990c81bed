"""Reports on data as HTML."""
