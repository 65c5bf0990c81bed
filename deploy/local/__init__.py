"""The local stack: broker, Flink cluster, storefront and Prometheus under supervisor, all on 127.0.0.1."""
