"""`liveshelf bench` and `liveshelf chaos`."""
