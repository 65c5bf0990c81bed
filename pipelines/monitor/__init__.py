"""The monitor: a reader of the topics that says how fresh lists are and how good the data is."""
