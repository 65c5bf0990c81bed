"""The Flink cluster of the local stack."""
