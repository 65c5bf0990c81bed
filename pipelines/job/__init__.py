"""The Flink job: its graph, its keyed operator, its metrics. Shipped with each submission."""
