import time

from operators.records.contracts import Model, RecommendationList
from storefront.watching.metrics import StoreMetrics

COUNT = "liveshelf_storefront_freshness_seconds_count"


def test_a_tombstone_is_not_timed() -> None:
    metrics = StoreMetrics()
    metrics.on_list(None)
    assert metrics.registry.get_sample_value(COUNT) == 0


def test_a_list_is_timed_from_its_event() -> None:
    metrics, now = StoreMetrics(), int(time.time() * 1000)
    slate = RecommendationList(
        recommendation_id="r",
        user_id="u",
        version=1,
        event_time=now - 500,
        event_id=None,
        generated_at=now,
        model=Model("m", "1"),
        source="model",
        items=[],
        expires_at=now,
        traceparent="x" * 16_000,
    )
    metrics.on_list(slate)
    assert metrics.registry.get_sample_value(COUNT) == 1
    assert 0.4 < metrics.registry.get_sample_value("liveshelf_storefront_freshness_seconds_sum") < 5
