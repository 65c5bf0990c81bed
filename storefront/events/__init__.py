"""Events from a browser to the topic."""
