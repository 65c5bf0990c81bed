"""What is waited for is asked for at least once, and not for longer than it may take."""

from types import SimpleNamespace

import pytest

from operators import waiting
from operators.waiting import wait_while


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def test_it_returns_when_nothing_is_missing_any_more(clock: SimpleNamespace) -> None:
    missing = iter([["a", "b"], ["b"], []])
    assert wait_while(lambda: next(missing), 60, 0.5) == []
    assert clock.now == 1.0


def test_what_is_still_missing_at_the_end_is_returned() -> None:
    asked: list[int] = []
    assert wait_while(lambda: asked.append(1) or ["b"], 1, 0.25) == ["b"]
    assert len(asked) == 5
    assert wait_while(lambda: ["a"], 0) == ["a"], "asked once, however late it is"
