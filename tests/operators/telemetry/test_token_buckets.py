import pytest

from operators.telemetry.token_buckets import TokenBuckets


def test_a_burst_passes_and_then_the_rate() -> None:
    now = [100.0]
    buckets = TokenBuckets(10, 3, lambda: now[0])
    assert [buckets.wait_s("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.wait_s("a") == pytest.approx(0.1)
    assert buckets.wait_s("a") == pytest.approx(0.1), "who is refused does not wait longer for asking"
    assert buckets.wait_s("b") == 0, "each key has its own"
    now[0] += 0.1
    assert buckets.wait_s("a") == 0
    assert buckets.wait_s("a") > 0
    now[0] += 60
    assert [buckets.wait_s("a") > 0 for _ in range(4)] == [False, False, False, True], (
        "rest fills it to the burst alone"
    )


def test_over_a_long_time_no_more_than_the_rate_passes() -> None:
    now, passed = [0.0], 0
    buckets = TokenBuckets(50, 10, lambda: now[0])
    for step in range(10_000):
        now[0] = step / 1000
        passed += buckets.wait_s("a") == 0
    assert passed == pytest.approx(10 + 50 * 10, abs=2)


def test_keys_by_the_thousand_cost_no_memory() -> None:
    buckets = TokenBuckets(1, 1, lambda: 0.0, held=100)
    assert buckets.wait_s("kept") == 0
    for number in range(1000):
        buckets.wait_s(f"key{number}")
        assert buckets.wait_s("kept") > 0, "who is asked for stays"
    assert len(buckets) == 100
