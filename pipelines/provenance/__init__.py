"""Who changed what, and where a bundle comes from."""
