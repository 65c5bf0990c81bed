"""The command `liveshelf`, and the Python client that shops import."""
