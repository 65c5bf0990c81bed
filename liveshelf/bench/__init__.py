"""`liveshelf bench` and `liveshelf chaos`: measurements and fault injection."""
