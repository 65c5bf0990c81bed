"""Counters and histograms in Prometheus' format for ten thousand observations a second.

prometheus_client's own take a lock and 0.4-2 us for each observation; a counter here is an integer of one writer, and a
histogram takes a whole batch of values at once.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar


class Tally(Collector):
    """A counter with labels: `tally.counts[labels] += 1`, written by one thread, read by any."""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str], registry: CollectorRegistry, shown: Sequence[Any] = ()
    ) -> None:
        """`shown`: label values (a string, or a tuple of them) that start at 0 instead of missing, so that
        Prometheus sees their first occurrence as an increase."""
        self.counts: Counter[Any] = Counter(dict.fromkeys(shown, 0))
        self.labels = tuple(labels)
        self._name, self._help = name, help_text
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """As prometheus_client asks."""
        family = CounterMetricFamily(self._name, self._help, labels=self.labels)
        for labels, count in self.counts.copy().items():
            family.add_metric([labels] if isinstance(labels, str) else [*labels], count)
        yield family


class CountedElsewhere(Collector):
    """A counter that other code keeps; read when scraped."""

    def __init__(self, name: str, help_text: str, registry: CollectorRegistry) -> None:
        self._name, self._help = name, help_text
        self._value: Callable[[], int] = int
        registry.register(self)

    def set_function(self, value: Callable[[], int]) -> None:
        """Sets the function that returns the count; 0 until then."""
        self._value = value

    def collect(self) -> Iterator[CounterMetricFamily]:
        """As prometheus_client asks."""
        yield CounterMetricFamily(self._name, self._help, self._value())


class GaugeElsewhere(Collector):
    """A gauge whose label values come and go with what other code holds; read when scraped."""

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        values: Callable[[], Mapping[Any, float]],
    ) -> None:
        """`values`: label values, a tuple of strings -> the gauge's value, as of now."""
        self.labels = tuple(labels)
        self._name, self._help, self._values = name, help_text, values
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As prometheus_client asks."""
        family = GaugeMetricFamily(self._name, self._help, labels=self.labels)
        for labels, value in self._values().items():
            family.add_metric(labels, value)
        yield family


class BatchHistogram(Collector):
    """A histogram that takes arrays. With labels each set of values has buckets of its own."""

    def __init__(
        self,
        name: str,
        help_text: str,
        edges: Sequence[float],
        registry: CollectorRegistry,
        label: str | None = None,
        labels: Sequence[str] = ("",),
        pending: Callable[[], None] = lambda: None,
    ) -> None:
        """`edges`: upper bounds, rising, without infinity; `labels`: values of `label` that are shown from the start;
        `pending` is called before each scrape: it observes what was not observed yet."""
        self._pending = pending
        self._name, self._help, self._label = name, help_text, label
        self.labels = (label,) if label else ()
        self._edges, self._bounds = np.array(edges), list(edges)
        self._counts: dict[str, npt.NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}
        self._exemplars: dict[tuple[str, int], Exemplar] = {}
        for value in labels:
            self.observe(np.empty(0), value)
        registry.register(self)

    def describe(self) -> list[HistogramMetricFamily]:
        """The name alone."""
        return [HistogramMetricFamily(self._name, self._help)]

    def observe(self, values: npt.NDArray[np.float64], label: str = "") -> None:
        """Takes values of any shape; one thread at a time."""
        counts = np.bincount(np.searchsorted(self._edges, values.ravel()), minlength=len(self._edges) + 1)
        if label not in self._counts:
            self._counts[label], self._sums[label] = np.zeros(len(self._edges) + 1, dtype=np.int64), 0.0
        self._counts[label] += counts
        self._sums[label] += float(values.sum())

    def observe_columns(self, values: npt.NDArray[np.float64], labels: Sequence[str]) -> None:
        """Takes [n, len(labels)], each column for its label, all of which were named to the constructor: in one go."""
        size = len(self._edges) + 1
        places = np.searchsorted(self._edges, values) + np.arange(len(labels)) * size
        counts = np.bincount(places.ravel(), minlength=size * len(labels)).reshape(len(labels), size)
        for label, count, total in zip(labels, counts, values.sum(axis=0).tolist(), strict=True):
            self._counts[label] += count
            self._sums[label] += total

    def observe_value(self, value: float, label: str = "") -> None:
        """Takes one value, ten times as fast as an array of it; for a label that was named to the constructor."""
        self._counts[label][bisect_left(self._bounds, value)] += 1
        self._sums[label] += value

    def exemplar(self, value: float, trace_id: str, label: str = "") -> None:
        """Remembers a traced value: the newest of each bucket is shown."""
        bucket = int(np.searchsorted(self._edges, value))
        self._exemplars[label, bucket] = Exemplar({"trace_id": trace_id}, value, time.time())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """As prometheus_client asks."""
        self._pending()
        family = HistogramMetricFamily(self._name, self._help, labels=[self._label] if self._label else None)
        bounds = [*map(str, self._edges.tolist()), "+Inf"]
        for label, counts in [*self._counts.items()]:
            buckets: list[Any] = [
                (bound, float(count), self._exemplars.get((label, place)))
                for place, (bound, count) in enumerate(zip(bounds, np.cumsum(counts).tolist(), strict=True))
            ]
            family.add_metric([label] if self._label else [], buckets, self._sums[label])
        yield family
