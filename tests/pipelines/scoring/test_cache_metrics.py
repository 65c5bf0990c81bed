"""The encoder cache as Prometheus sees it."""

import numpy as np
from prometheus_client import CollectorRegistry

from operators.model.encoder_cache import EncoderCache
from pipelines.scoring.cache_metrics import CacheMetrics


def test_the_counts_are_those_of_the_cache_at_the_scrape() -> None:
    registry = CollectorRegistry()
    metrics = CacheMetrics(registry)

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"liveshelf_encoder_cache_{name}")

    assert [value(name) for name in ("hits_total", "misses_total", "check_failures_total", "bytes")] == [0, 0, 0, 0]
    cache = EncoderCache(1 << 20, 4, 2, 0)
    metrics.measure(cache)
    cache.find(["u1", "u2"], np.ones((2, 4), np.int32), np.ones((2, 4), np.int32))
    assert value("misses_total") == 2 and value("bytes") == cache.bytes
