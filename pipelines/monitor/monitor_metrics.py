"""What the monitor reports; docs/metrics.md lists it."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from operators.quality.expectations import EXPECTATIONS, Expectations, Verdict
from operators.quality.shopper_freshness import ShopperFreshness
from operators.records.contracts import CATALOGUE_REASONS, EVENTS, RECOMMENDATIONS
from operators.settings import Settings
from operators.telemetry.metric_types import BatchHistogram, CountedElsewhere, Tally

SAMPLED_TOPICS = (EVENTS, RECOMMENDATIONS)
DELAY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class MonitorMetrics:
    """The monitor's registry, counters and gauges."""

    def __init__(self, settings: Settings, shoppers: ShopperFreshness, expectations: Expectations) -> None:
        self.registry = CollectorRegistry()
        self.records = self._counter("liveshelf_monitor_records", "Records read, by topic", ["topic"], SAMPLED_TOPICS)
        self.skipped = self._counter(
            "liveshelf_monitor_skipped_records",
            "Records that the monitor did not read, because there were too many",
            ["topic"],
            SAMPLED_TOPICS,
        )
        labels = ["topic", "expectation"]
        pairs = [(topic, name) for topic, names in EXPECTATIONS.items() for name in names]
        self.checked = self._counter("liveshelf_data_checked", "Records checked against an expectation", labels, pairs)
        self.failed = self._counter("liveshelf_data_failed", "Records that do not meet an expectation", labels, pairs)
        self.catalogue_refused = self._counter(
            "liveshelf_catalogue_refused",
            "Catalogue records that cannot be read, by reason",
            ["reason"],
            CATALOGUE_REASONS,
        )
        self.categories = self._counter(
            "liveshelf_data_category_events", "Events by first level of the item's category", ["category"]
        )
        self.delays = BatchHistogram(
            "liveshelf_shopper_delay_seconds",
            "From a shopper's event in the topic to its list in the topic, of a sample of users",
            DELAY_BUCKETS,
            self.registry,
        )
        self.taken_back = CountedElsewhere(
            "liveshelf_guard_taken_back", "Bundles that the guard took back because they harmed", self.registry
        )
        self.guard_failed = CountedElsewhere(
            "liveshelf_guard_failed", "Errors not of the broker after which the guard began anew", self.registry
        )
        self.answered_at = 0.0  # epoch s of the broker's last answer
        self._gauges(shoppers, expectations)
        self._disk_gauge(settings.resolve(settings.stack.data_dir))

    def _counter(self, name: str, help_text: str, labels: Sequence[str], shown: Sequence[Any] = ()) -> Counter[Any]:
        return Tally(name, help_text, labels, self.registry, shown).counts

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
            lambda: time.time() - self.answered_at,
        )

    def _gauge(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        Gauge(f"liveshelf_{name}", help_text, registry=self.registry).set_function(value)

    def _disk_gauge(self, folder: Path) -> None:
        gauge = Gauge(
            "liveshelf_disk_free_ratio", "Free share of the disk that holds a folder", ["path"], registry=self.registry
        )
        gauge.labels(folder.name).set_function(lambda: _free_share(folder))

    def count_verdicts(self, topic: str, verdicts: list[Verdict]) -> None:
        """Counts checks and failures of each expectation."""
        for expectation, holds in verdicts:
            self.checked[topic, expectation] += 1
            self.failed[topic, expectation] += not holds


def _free_share(folder: Path) -> float:
    """Works without the folder too: an exception in a gauge would fail the whole scrape."""
    usage = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir()))
    return usage.free / usage.total
