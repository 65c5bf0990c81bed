"""What the scorer process reports of its encoder cache."""

from prometheus_client import CollectorRegistry, Gauge

from operators.model.encoder_cache import EncoderCache
from operators.telemetry.metric_types import CountedElsewhere


class CacheMetrics:
    """All are 0 where the scorer has no cache."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_text: str) -> CountedElsewhere:
            return CountedElsewhere(f"liveshelf_encoder_cache_{name}", help_text, registry)

        self._hits = counter("hits", "Requests whose encoder went on from kept states")
        self._misses = counter("misses", "Requests whose encoder read all steps")
        self._failures = counter("check_failures", "Checks that found other scores than the full pass gives")
        self._bytes = Gauge("liveshelf_encoder_cache_bytes", "Bytes set aside for kept states", registry=registry)

    def measure(self, cache: EncoderCache) -> None:
        """The cache that is reported from now on."""
        self._hits.set_function(lambda: cache.hits)
        self._misses.set_function(lambda: cache.misses)
        self._failures.set_function(lambda: cache.check_failures)
        self._bytes.set(cache.bytes)
