"""The reader: follows lists and catalogue into local tables and serves them over HTTP, with a demo shop page."""
