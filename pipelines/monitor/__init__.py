"""The monitor: measures the freshness of lists and the quality of the data from the topics."""
