"""The demo's figures and checks; no freshness with too few lists."""

import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from operators.errors import BrokerError
from operators.settings import Settings
from pipelines.demo import demo_run
from pipelines.demo.demo_checks import demo_checks
from pipelines.demo.demo_run import DemoRun, Figures
from pipelines.topics.list_follower import Erased
from pipelines.topics.replayer import Progress
from tests.operators.kafka_io.test_list_rows import list_of


def test_without_lists_there_is_no_freshness_and_the_check_fails() -> None:
    figures = Figures()
    assert all(math.isnan(figures.freshness_ms(p)) for p in (50, 95, 99))
    assert not figures.freshness_ms(99) < 2000
    assert ("freshness p50 / p95 / p99", "- / - / - ms") in figures.rows(0)


def test_a_percentile_needs_as_many_lists_as_it_divides_by() -> None:
    figures = Figures()
    for _ in range(99):
        figures.freshness_us.record_value(5_000)
    assert ("freshness p50 / p95 / p99", "5 / 5 / - ms") in figures.rows(0)
    figures.freshness_us.record_value(5_000)
    assert 4 < figures.freshness_ms(99) < 6


class Lists:
    """A follower: three changes, then the broker is away."""

    def __init__(self, *_: Any) -> None:
        self.closed = False

    def __iter__(self) -> Any:
        yield list_of(1, 1, "u1", event_time=time.time_ns() // 1_000_000)
        yield Erased("u1")
        yield list_of(1, 1, "u2", source="popular")
        raise BrokerError("a broker", "none", "wait")

    def close(self) -> None:
        self.closed = True


def test_lists_are_counted_by_user_and_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_run, "ListFollower", Lists)
    monkeypatch.setattr(DemoRun, "_publish", lambda self: time.sleep(1.5))
    demo = DemoRun(Settings(), [], 100, tmp_path)
    demo.start()
    assert [len(rows) for rows in demo.watched(60)] == [6, 6]
    demo.stop()
    assert (demo.figures.lists, demo.figures.users) == (2, {"u1", "u2"})
    assert demo.figures.sources == {"model": 1, "popular": 1}
    assert "reading stopped" in capsys.readouterr().out


class Shop:
    """Answers as the storefront does."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> "Shop":
        return self

    def __exit__(self, *_: object) -> None: ...

    def get(self, path: str) -> Any:
        return httpx.Response(200, text="Liveshelf") if path == "/" else httpx.Response(200, json={"known": True})


def test_a_demo_passes_its_checks_or_says_which_one_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx, "Client", Shop)
    demo, figures = SimpleNamespace(figures=Figures(), progress=Progress(sent=200)), Figures()
    for number in range(150):
        figures.add(list_of(1, number, event_time=time.time_ns() // 1_000_000))
    assert not all(demo_checks(demo, "http://shop").values()), "no list came"
    demo.figures = figures
    assert all(demo_checks(demo, "http://shop").values())
    demo.progress.failed = 1
    failed = [text for text, passed in demo_checks(demo, "http://shop").items() if not passed]
    assert failed == ["200 events published, 1 failed"]
