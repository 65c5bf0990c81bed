import json
import time

import pytest

from storefront.metrics import StoreMetrics

COUNT = "liveshelf_storefront_freshness_seconds_count"


@pytest.mark.parametrize(
    "value", [None, b"rubbish", b"{}", b'{"event_time": "x"}', b'{"event_time": 1, "traceparent": 7}']
)
def test_what_is_no_list_is_not_counted_and_stops_nobody(value: bytes | None) -> None:
    metrics = StoreMetrics()
    metrics.listed(value)
    assert metrics.registry.get_sample_value(COUNT) == 0


def test_a_list_is_timed_from_its_event() -> None:
    metrics = StoreMetrics()
    metrics.listed(json.dumps({"event_time": int(time.time() * 1000) - 500, "traceparent": "x" * 16_000}).encode())
    assert metrics.registry.get_sample_value(COUNT) == 1
    assert 0.4 < metrics.registry.get_sample_value("liveshelf_storefront_freshness_seconds_sum") < 5
