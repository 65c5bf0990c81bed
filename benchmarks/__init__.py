"""Measurements of the running stack, one command each: `liveshelf bench NAME`."""
