"""The storefront's metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class StoreMetrics:
    """Counters in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "liveshelf_storefront_requests",
            "Requests, by route and status",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "liveshelf_storefront_request_seconds",
            "Time of a request",
            ["route"],
            registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
        )
        self.served = Counter(
            "liveshelf_storefront_lists_served", "Lists served, by source", ["source"], registry=self.registry
        )
        self.events = Counter(
            "liveshelf_storefront_events", "Events taken, by outcome", ["outcome"], registry=self.registry
        )

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when scraped."""
        Gauge(f"liveshelf_storefront_{name}", help_text, registry=self.registry).set_function(value)
