import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from operators.telemetry.metric_types import BatchHistogram, CountedElsewhere, Tally


def test_a_tally_counts_by_its_labels_and_shows_known_ones_from_the_start() -> None:
    registry = CollectorRegistry()
    counts = Tally("things", "…", ["kind", "size"], registry, [("a", "s")]).counts
    assert registry.get_sample_value("things_total", {"kind": "a", "size": "s"}) == 0
    counts["b", "s"] += 2
    assert registry.get_sample_value("things_total", {"kind": "b", "size": "s"}) == 2


def test_a_counter_of_somebody_else_is_read_at_the_scrape() -> None:
    registry, held = CollectorRegistry(), [3]
    counted = CountedElsewhere("clamped", "…", registry)
    assert registry.get_sample_value("clamped_total") == 0
    counted.set_function(lambda: held[0])
    held[0] = 5
    assert registry.get_sample_value("clamped_total") == 5


def test_a_histogram_of_batches_is_that_of_the_single_values() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("seconds", "…", (0.1, 1.0), registry)
    histogram.observe(np.array([0.05, 0.1, 0.5, 3.0]))
    histogram.observe_value(0.2)
    buckets = {le: registry.get_sample_value("seconds_bucket", {"le": le}) for le in ("0.1", "1.0", "+Inf")}
    assert buckets == {"0.1": 2, "1.0": 4, "+Inf": 5}  # a value on the bound is inside, as Prometheus has it
    assert np.isclose(registry.get_sample_value("seconds_sum"), 3.85)


def test_what_is_pending_is_observed_before_a_scrape_and_labels_are_kept_apart() -> None:
    registry, waiting = CollectorRegistry(), [np.array([1.0])]
    histogram = BatchHistogram(
        "stage", "…", (2.0,), registry, "stage", ("a", "b"), lambda: histogram.observe(waiting.pop(), "a") if waiting else None
    )  # fmt: skip
    assert registry.get_sample_value("stage_count", {"stage": "a"}) == 1
    assert registry.get_sample_value("stage_count", {"stage": "b"}) == 0


def test_an_exemplar_stands_at_its_bucket() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("seconds", "…", (0.1, 1.0), registry)
    histogram.observe_value(0.5)
    histogram.exemplar(0.5, "abc")
    lines = [line for line in generate_latest(registry).decode().splitlines() if "trace_id" in line]
    assert len(lines) == 1
    assert lines[0].startswith('seconds_bucket{le="1.0"} 1.0 # {trace_id="abc"} 0.5')


def test_columns_are_observed_as_their_labels_one_by_one() -> None:
    registry, other = CollectorRegistry(), CollectorRegistry()
    values = np.array([[0.05, 0.5, 3.0], [0.1, 2.0, 0.2], [0.3, 0.3, 0.3]])
    together = BatchHistogram("stage", "…", (0.1, 1.0), registry, "stage", ("a", "b", "c"))
    together.observe_columns(values, ("a", "b", "c"))
    single = BatchHistogram("stage", "…", (0.1, 1.0), other, "stage", ("a", "b", "c"))
    for place, label in enumerate("abc"):
        single.observe(values[:, place], label)
    assert generate_latest(registry) == generate_latest(other)
