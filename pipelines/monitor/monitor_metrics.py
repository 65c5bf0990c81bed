"""What the monitor reports; docs/metrics.md lists it."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from operators.quality.expectations import EXPECTATIONS, Expectations, Verdict
from operators.quality.shopper_freshness import ShopperFreshness
from operators.records.contracts import CATALOGUE_REASONS, EVENTS, RECOMMENDATIONS
from operators.settings import Settings
from operators.telemetry.metric_families import BatchHistogram, Tally

FOLLOWED = (EVENTS, RECOMMENDATIONS)
DELAY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class MonitorMetrics:
    """What the monitor reports."""

    def __init__(self, settings: Settings, shoppers: ShopperFreshness, expectations: Expectations) -> None:
        self.registry = registry = CollectorRegistry()
        self.records = Tally(
            "liveshelf_monitor_records", "Records read, by topic", ["topic"], registry, FOLLOWED
        ).counts
        self.skipped = Tally(
            "liveshelf_monitor_skipped_records",
            "Records that the monitor did not read, because there were too many",
            ["topic"],
            registry,
            FOLLOWED,
        ).counts
        every = [(topic, name) for topic, names in EXPECTATIONS.items() for name in names]
        self.checked = Tally(
            "liveshelf_data_checked",
            "Records checked against an expectation",
            ["topic", "expectation"],
            registry,
            every,
        ).counts
        self.failed = Tally(
            "liveshelf_data_failed",
            "Records that do not meet an expectation",
            ["topic", "expectation"],
            registry,
            every,
        ).counts
        self.catalogue_refused = Tally(
            "liveshelf_catalogue_refused",
            "Catalogue records that cannot be read, by reason",
            ["reason"],
            registry,
            CATALOGUE_REASONS,
        ).counts
        self.categories = Tally(
            "liveshelf_data_category_events", "Events by first level of the item's category", ["category"], registry
        ).counts
        self.delays = BatchHistogram(
            "liveshelf_shopper_delay_seconds",
            "From a shopper's event in the topic to its list in the topic, of a sample of users",
            DELAY_BUCKETS,
            registry,
        )
        self.reached_at = 0.0
        self._gauges(shoppers, expectations)
        disk = Gauge(
            "liveshelf_disk_free_ratio", "Free share of the disk that holds a folder", ["path"], registry=registry
        )
        folder = settings.resolve(settings.stack.data_dir)
        disk.labels(folder.name).set_function(lambda: _free(folder))

    def _gauges(self, shoppers: ShopperFreshness, expectations: Expectations) -> None:
        self._gauge(
            "fresh_users_ratio",
            "Share of the active sampled users who got a list for their newest event in time",
            shoppers.share,
        )
        self._gauge("catalogue_items", "Items in the catalogue topic", lambda: expectations.items)
        self._gauge(
            "catalogue_unreadable_items",
            "Items whose newest catalogue record cannot be read",
            lambda: len(expectations.unreadable),
        )
        self._gauge(
            "monitor_age_seconds",
            "Time since the broker last answered the monitor",
            lambda: time.time() - self.reached_at,
        )

    def _gauge(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        Gauge(f"liveshelf_{name}", help_text, registry=self.registry).set_function(value)

    def judged(self, topic: str, verdicts: list[Verdict]) -> None:
        """Counts what was checked."""
        for expectation, holds in verdicts:
            self.checked[topic, expectation] += 1
            self.failed[topic, expectation] += not holds


def _free(folder: Path) -> float:
    """Of its disk, also before the folder is made: without this gauge a scrape would give none at all."""
    usage = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir()))
    return usage.free / usage.total
