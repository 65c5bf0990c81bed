"""The records of all topics: their form, and the one place that decides which are valid."""
