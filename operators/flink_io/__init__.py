"""The HTTP client of a Flink cluster's REST interface."""
