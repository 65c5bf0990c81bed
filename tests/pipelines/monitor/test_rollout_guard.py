"""What the guard reads and counts; tests/stack/models/test_rollout.py has the broker."""

import json
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from operators.records.contracts import EXAMPLES, MODELS, RECOMMENDATIONS, encode_record
from operators.rollout.rollout import Change, Rollout, promoted, shadowed, split
from operators.settings import Settings
from operators.time_units import DAY_MS, HOUR_MS, MINUTE_MS
from pipelines.monitor import rollout_guard
from pipelines.monitor.rollout_guard import RolloutGuard
from tests.operators.rollout.test_rollout import bundle, champion

AT = 1_800_000_000_000
CLICK_MS = 30 * MINUTE_MS
CHANGE = Change(AT, "somebody", "test")
SPLIT = split(promoted(None, bundle(1), Change(AT - 90 * DAY_MS, "", "")), bundle(2), 0.5, CHANGE)
NEW = promoted(champion(), bundle(2), CHANGE)
Record = SimpleNamespace


def guard_of(now_ms: int = AT) -> RolloutGuard:
    settings = Settings()
    return RolloutGuard(
        settings.model_copy(
            update={
                "job": settings.job.model_copy(update={"name": "shop"}),
                "feedback": settings.feedback.model_copy(update={"enabled": True}),
            }
        ),
        lambda: now_ms,
    )


def rollout_record(rollout: Rollout, timestamp: int = AT) -> Record:
    return Record(key=b"shop", value=encode_record(rollout), headers=[], timestamp=timestamp)


def example_record(number: int, *, bundle_number: int = 1, timestamp: int = AT + CLICK_MS, **fields: Any) -> Record:
    example = {
        "model": {"name": "shop", "version": str(bundle_number)}, "user_id": f"u{number}", "label": "none", "revision": 0,
        "shown_at": AT, "source": "model",
    }  # fmt: skip
    return Record(key=b"u", value=json.dumps(example | fields).encode(), timestamp=timestamp)


def list_record(number: int, timestamp: int, *, source: str = "model", **fields: Any) -> Record:
    one = {
        "model": {"name": "shop", "version": str(number)},
        "source": source,
        "items": [{}],
        "event_time": timestamp - 9,
    }
    return Record(key=b"u", value=json.dumps(one | fields).encode(), timestamp=timestamp)


class Consumer:
    """Topics in memory: topic -> partition -> records. A poll has at most `FETCH` records of a partition."""

    FETCH = 300

    def __init__(self, **topics: list[list[Record]]) -> None:
        self.log = {
            TopicPartition(topic, number): records
            for topic, partitions in (topics | {MODELS: topics.get(MODELS, [[]])}).items()
            for number, records in enumerate(partitions)
        }
        for records in self.log.values():
            for offset, record in enumerate(records):
                record.offset = offset
        self.positions: dict[TopicPartition, int] = {}
        self.asked: list[int] = []

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {one.partition for one in self.log if one.topic == topic}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.positions = dict.fromkeys(partitions, -1)

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {one: len(self.log[one]) for one in partitions}

    def highwater(self, partition: TopicPartition) -> int:
        return len(self.log[partition])

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        if min(times.values()) < 0:
            raise ValueError("The target time cannot be negative.")
        at = {one: sum(record.timestamp < time for record in self.log[one]) for one, time in times.items()}
        return {one: SimpleNamespace(offset=n) if n < len(self.log[one]) else None for one, n in at.items()}

    def poll(self, timeout_ms: int, max_records: int = 500) -> dict[TopicPartition, list[Record]]:
        polled = {}
        for one, position in self.positions.items():
            records = self.log[one][position : position + min(max_records, self.FETCH)]
            if records:
                polled[one], max_records = records, max_records - len(records)
                self.positions[one] += len(records)
        return polled

    def close(self) -> None: ...


def follow(guard: RolloutGuard, consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One round of the guard over what is there."""
    monkeypatch.setattr(rollout_guard, "new_consumer", lambda settings, **options: consumer)
    monkeypatch.setattr(guard, "_judge", guard._stop.set)
    monkeypatch.setattr(rollout_guard, "POLL_S", 60.0)
    monkeypatch.setattr(guard._stop, "wait", lambda seconds=0: guard._stop.set())
    guard._follow()


def shown(guard: RolloutGuard, number: int) -> tuple[int, int]:
    """Shown and clicked items of a bundle."""
    moments = guard._guard._clicks.moments(f"shop {number}")
    return (0, 0) if moments is None else (int(moments.x), int(moments.y))


@pytest.mark.parametrize(
    ("what", "counted"),
    [
        ({}, (1, 0)),
        ({"label": "click"}, (1, 1)),
        ({"label": "purchase", "revision": 1}, (0, 0)),  # its revision 0 may be from before the change
        ({"label": "click", "shown_at": None}, (0, 0)),
        ({"label": "click", "source": None}, (0, 0)),
        ({"model": None}, (0, 0)),
        ({"timestamp": AT + CLICK_MS - 1}, (0, 0)),  # shown before the change
        ({"label": "smile"}, (0, 0)),
    ],
)
def test_an_item_counts_once_when_its_click_window_closes(what: dict[str, Any], counted: tuple[int, int]) -> None:
    guard = guard_of()
    guard._take(MODELS, rollout_record(SPLIT))
    guard._take(EXAMPLES, example_record(1, **what))
    assert shown(guard, 1) == counted


def test_records_that_are_none_change_nothing() -> None:
    guard = guard_of()
    guard._take(MODELS, rollout_record(SPLIT))
    for value in (b"\xff", b"[" * 100_000, b"{}", list_record(1, AT, event_time=10**400).value, None):
        for topic in (EXAMPLES, RECOMMENDATIONS):
            guard._take(topic, Record(key=None, value=value, timestamp=AT))
    assert shown(guard, 1) == (0, 0) and not guard._guard._lists


def test_after_an_error_of_the_broker_what_was_counted_is_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    topics = {MODELS: [[rollout_record(SPLIT)]], EXAMPLES: [[example_record(n, label="click") for n in range(9)]]}
    guard = guard_of(AT + HOUR_MS)
    for _ in range(2):
        follow(guard, Consumer(**topics, **{RECOMMENDATIONS: [[]]}), monkeypatch)
        assert shown(guard, 1) == (9, 9)
        guard._stop = threading.Event()


def test_a_busy_shop_is_read_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [[example_record(n) for n in range(1500)] for _ in range(4)]
    lists = [[list_record(1, AT + HOUR_MS - 1500 + n) for n in range(1500)]]
    guard = guard_of(AT + HOUR_MS)
    follow(
        guard, Consumer(**{MODELS: [[rollout_record(SPLIT)]], EXAMPLES: examples, RECOMMENDATIONS: lists}), monkeypatch
    )
    assert shown(guard, 1) == (6000, 0)
    assert guard._guard._lists["shop 1"].count(0, AT + HOUR_MS) == 1500


def test_a_guard_that_starts_beside_an_old_split_reads_no_more_than_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_guard, "MOST_BEHIND", {RECOMMENDATIONS: 1000, EXAMPLES: 1000})
    examples = [example_record(n, timestamp=AT + CLICK_MS + n) for n in range(9000)]
    lists = [list_record(1, AT + HOUR_MS - 9000 + n) for n in range(9000)]
    guard = guard_of(AT + HOUR_MS)
    consumer = Consumer(**{MODELS: [[rollout_record(SPLIT)]], EXAMPLES: [examples], RECOMMENDATIONS: [lists]})
    follow(guard, consumer, monkeypatch)
    assert 500 <= shown(guard, 1)[0] <= 1500
    assert 500 <= guard._guard._lists["shop 1"].count(0, AT + DAY_MS) <= 2000 + Consumer.FETCH


def test_lists_from_before_the_champion_are_read_though_the_end_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_guard, "MOST_BEHIND", {RECOMMENDATIONS: 1000, EXAMPLES: 1000})
    monkeypatch.setattr(rollout_guard, "MOST_BEFORE", 500)
    lists = [list_record(1, AT - 9000 + n) for n in range(9000)] + [list_record(2, AT + n) for n in range(9000)]
    guard = guard_of(AT + 9000)
    follow(guard, Consumer(**{MODELS: [[rollout_record(NEW)]], EXAMPLES: [[]], RECOMMENDATIONS: [lists]}), monkeypatch)
    before, after = (guard._guard._lists[f"shop {number}"].count(0, AT + DAY_MS) for number in (1, 2))
    assert before == 500 and 500 <= after <= 1500


def test_examples_are_judged_by_the_newest_change_of_a_topic_with_many(monkeypatch: pytest.MonkeyPatch) -> None:
    newest = shadowed(split(SPLIT, bundle(2), 0.3, Change(AT + HOUR_MS, "", "")), bundle(3), 0.1, CHANGE)
    history = [rollout_record(one) for one in (SPLIT, *[SPLIT] * 700, newest)]
    examples = [example_record(n, timestamp=AT + n * MINUTE_MS) for n in range(24 * 60)]
    guard = guard_of(AT + DAY_MS)
    follow(guard, Consumer(**{MODELS: [history], EXAMPLES: [examples], RECOMMENDATIONS: [[]]}), monkeypatch)
    assert guard._rollout == newest
    assert shown(guard, 1)[0] == 24 * 60 - 30, "from the click window after the newest change on, as the record says it"


@pytest.mark.parametrize("changed_at", [-1, 5, 253_402_300_799_999, 2**63])
def test_a_record_with_any_time_does_not_end_the_guard(changed_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = json.loads(encode_record(SPLIT)) | {"changed_at": changed_at, "champion_since": changed_at}
    record = Record(key=b"shop", value=json.dumps(fields).encode(), headers=[], timestamp=AT)
    guard = guard_of(AT + HOUR_MS)
    follow(guard, Consumer(**{MODELS: [[record]], EXAMPLES: [[]], RECOMMENDATIONS: [[]]}), monkeypatch)
    assert (guard._rollout is None) == (changed_at in (-1, 2**63))


def test_an_error_that_nobody_foresaw_is_counted_and_the_guard_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    guard, calls = guard_of(), list[int]()

    def fail() -> None:
        calls.append(1)
        if len(calls) == 2:
            guard.stop()
        raise ValueError("The target time cannot be negative.")

    monkeypatch.setattr(guard, "_follow", fail)
    monkeypatch.setattr(rollout_guard, "RETRY_S", 0.001)
    thread = threading.Thread(target=guard.run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and guard.failed == 2
    assert "the guard failed" in caplog.text


def test_what_somebody_else_took_back_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guard_of(AT + MINUTE_MS)
    guard._take(MODELS, rollout_record(NEW))
    for number, at, source in ((1, AT - 20_000, "model"), (2, AT + MINUTE_MS, "neighbours")):
        for _ in range(200):
            guard._take(RECOMMENDATIONS, list_record(number, at, source=source))
    newest, acts = [NEW], list[str]()

    def change(settings: Any, verb: Any, why: str, by: str) -> tuple[Rollout | None, Rollout | None]:
        before = newest[-1]
        newest.append(verb(before, Change(AT + MINUTE_MS, by, why)))
        return before, newest[-1]

    monkeypatch.setattr(rollout_guard, "change_rollout", change)
    monkeypatch.setattr(rollout_guard, "record_act", lambda settings, verb, **what: acts.append(verb))
    guard._judge()
    assert (guard.found, len(acts), newest[-1].champion, newest[-1].previous_harmed) == (1, 1, bundle(1), True)
    guard._rollout = NEW  # as if the change had not come yet
    guard._judge()
    assert (guard.found, len(acts), newest[-1].champion) == (1, 1, bundle(1))


def test_reading_is_fast_enough_for_a_busy_shop() -> None:
    """1,200 examples and 100 lists a second must leave most of a second free."""
    guard = guard_of()
    guard._take(MODELS, rollout_record(SPLIT))
    records = [example_record(n) for n in range(1200)], [list_record(1, AT + n) for n in range(100)]
    began = time.process_time()
    for topic, of_topic in zip((EXAMPLES, RECOMMENDATIONS), records, strict=True):
        for record in of_topic:
            guard._take(topic, record)
    guard._guard.finding(SPLIT, AT + MINUTE_MS)
    assert time.process_time() - began < 0.5
