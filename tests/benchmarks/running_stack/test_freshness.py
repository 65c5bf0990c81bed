"""Freshness is measured of whole samples alone, and the floor beside it."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks.measuring.load import Load
from benchmarks.measuring.measured import NotMeasured, as_json
from benchmarks.running_stack import floor, freshness
from benchmarks.running_stack.floor import Floor
from liveshelf.bench.result import report_result
from operators.errors import BrokerError
from operators.settings import Settings
from tests.benchmarks.fakes import Consumer, Generator, Record, list_record, parts, sent
from tests.benchmarks.reasons import reasons

RATE, SECONDS, USERS = 100.0, 2.0, 10


def answers(count: int = 400, users: int = USERS, **fields: Any) -> Iterator[list[Record]]:
    """A poll a list, so many for each user's last event."""
    tag = Tag.now
    now = int(time.time() * 1000) + 1
    time.sleep(0.02)
    yield [list_record(f"{tag}-{n % users}", 1000, now, **fields) for n in range(count)]


class Tag:
    """The tag of the load that runs."""

    now = ""


def measured_freshness(
    monkeypatch: pytest.MonkeyPatch,
    batches: Callable[[], Iterator[list[Record]]],
    generator: Generator | None = None,
    unread: int = 0,
    violation: str = "",
) -> dict[str, Any]:
    def start_load(load: Load) -> Generator:
        Tag.now = load.tag
        return generator or Generator(sent(load.count))

    def batches_after_start() -> Iterator[list[Record]]:
        yield []
        yield from batches()

    monkeypatch.setattr(freshness, "consumer_at_end", lambda *_: Consumer(batches_after_start(), unread))
    monkeypatch.setattr(freshness, "in_the_background", start_load)
    monkeypatch.setattr(freshness, "DRAIN_SECONDS", 0.1)
    stack = parts(violation) if violation else parts()
    return freshness.measure(Settings(), ["i"], stack, RATE, SECONDS, 0.0, USERS)


FIGURES = ("freshness_ms", "event_to_list_made_ms", "cores_used")


def test_freshness_that_was_measured_has_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    result = measured_freshness(monkeypatch, answers)
    assert "not_measured" not in as_json(result) and result["users_unanswered"] == 0
    assert 0 < result["freshness_ms"]["p50"] < 10_000 and result["freshness_ms"]["p99"] >= result["freshness_ms"]["p50"]


def test_freshness_without_a_list_is_null_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    result = measured_freshness(monkeypatch, lambda: iter(()))
    (reason,) = reasons(result, *FIGURES)
    assert reason == "no list came; 10 of 10 users had no list of all their events when the wait ended"
    with pytest.raises(typer.Exit) as exit_info:
        report_result(result, tmp_path / "kept.json", json=True)
    assert exit_info.value.exit_code == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["freshness_ms"] == {"p50": None, "p95": None, "p99": None, "max": None}
    assert json.loads(printed.out)["not_measured"]["freshness_ms.p50"] == reason
    assert json.loads((tmp_path / "kept.json").read_text()) == json.loads(printed.out)
    assert "no list came" in printed.err
    with pytest.raises(typer.Exit):
        report_result(result, None, json=False)
    assert "'p50': None" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batches": lambda: answers(users=9)}, "1 of 10 users had no list of all their events when the wait ended"),
        ({"batches": lambda: answers(source="popular")}, "400 of 400 lists were fallbacks"),
        ({"unread": 5}, "the reader did not reach the end of the lists: 5 records before it"),
        ({"violation": "the job was restarted"}, "the job was restarted"),
        ({"generator": Generator(sent(200, late_ms=1500.0))}, "the load generator fell 1500 ms behind"),
        ({"generator": Generator(sent(200, seconds=3.0))}, "the load generator sent 67 events/s instead of 100"),
    ],
)
def test_freshness_of_a_part_or_of_another_stack_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], expected: str
) -> None:
    (reason,) = reasons(measured_freshness(monkeypatch, **({"batches": answers} | options)), *FIGURES)
    assert expected in reason and ";" not in reason


def test_a_few_lists_have_no_p99(monkeypatch: pytest.MonkeyPatch) -> None:
    result = measured_freshness(monkeypatch, lambda: answers(count=50))
    assert result["freshness_ms"]["p95"] > 0
    assert result["freshness_ms"]["p99"] == NotMeasured("50 values came, a p99 needs 100")


def test_a_load_that_did_not_reach_the_broker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for generator in (Generator(sent(200, failed=1)), Generator(None, returncode=1), Generator(None)):
        with pytest.raises(BrokerError, match="all events of the load published"):
            measured_freshness(monkeypatch, answers, generator)


def test_a_floor_that_passed_half_of_the_records_has_no_percentiles() -> None:
    passing = Floor(Settings())
    passing.count_from_ms = 0
    now_us = time.time_ns() // 1000
    stack_ms = {"p50": 10.0, "p99": 20.0}
    for count, measured in ((0, False), (500, False), (1000, True)):
        while passing.latency_us.get_total_count() < count:
            passing._take(json.dumps({"event_time": now_us // 1000 - 5}).encode(), now_us)
        figures = freshness._floor_figures(passing, 1000, stack_ms)
        assert isinstance(figures["ratios"]["p50 of the floor to ours"], float) is measured
        assert isinstance(figures["floor_ms"]["max"], float) is measured
    passing._failure = "KafkaError()"
    assert reasons(freshness._floor_figures(passing, 1000, stack_ms), "floor_ms") == {
        "the floor's reader ended: KafkaError()"
    }


def test_a_floors_reader_that_dies_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "consumer_at_end", lambda *_: Consumer(iter([[Record(b"k", b"no json")]])))
    passing = Floor(Settings())
    passing._read()
    assert "MalformedJson" in passing.incomplete_reasons(0)[0] or "JSON" in passing.incomplete_reasons(0)[0]
