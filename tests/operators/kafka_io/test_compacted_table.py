"""The table over a fake consumer; the real broker is in tests/stack."""

import threading
from pathlib import Path

import pytest
from kafka import TopicPartition

from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.row_rules import Refused
from tests.operators.kafka_io.fake_topic import GONE, TOPIC, Clock, Consumer, Record, Told, Topic, made, opened, until
from tests.operators.kafka_io.plain_rows import PlainRows


def test_it_is_complete_at_open_and_follows(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    topic.append("a", "2")
    table = opened(tmp_path, topic)
    assert table.get("a") == b"2"
    topic.append("b", "3")
    until(lambda: table.get("b") == b"3")
    topic.append("a", None)
    until(lambda: table.get("a") is None)
    assert dict(table.rows()) == {"b": b"3"}
    assert table.age_s < 5
    table.close()


def test_after_a_restart_it_reports_its_copy_and_reads_only_what_is_new(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    topic.log[0] = Record(0, b"a", b"read again?")
    topic.append("b", "2")
    told = Told()
    table = opened(tmp_path, topic, on_change=told)
    assert told == [("a", b"1"), ("b", b"2")]
    table.close()


def test_a_copy_is_not_reported_to_who_does_not_ask(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    topic.append("b", "2")
    told = Told()
    opened(tmp_path, topic, on_change=told, reports_copy=False).close()
    assert told == [("b", b"2")]


def test_a_listener_that_comes_later_is_told_of_all_rows_and_of_each_change_until_it_leaves(tmp_path: Path) -> None:
    topic, told = Topic(), Told()
    topic.append("a", "1")
    topic.append("b", "2")
    table = opened(tmp_path, topic)
    table.listen(told)
    assert sorted(told) == [("a", b"1"), ("b", b"2")]
    topic.append("a", "3")
    until(lambda: told[2:] == [("a", b"3")])
    table.leave(told)
    topic.append("a", "4")
    until(lambda: table.get("a") == b"4")
    table.close()
    assert told[2:] == [("a", b"3")]


@pytest.mark.parametrize("topic_id", ["second", None], ids=["another id", "a broker without ids, and a shorter topic"])
def test_a_topic_that_was_made_anew_is_read_from_its_beginning(tmp_path: Path, topic_id: str | None) -> None:
    first = Topic("first" if topic_id else None)
    for key in "abcdef":
        first.append(key, "old")
    opened(tmp_path, first, Rising()).close()
    second, told = Topic(topic_id), Told()
    for _ in range(8 if topic_id else 1):
        second.append("a", "new")  # smaller than the old one, which must not count
    table = opened(tmp_path, second, Rising(GONE), on_change=told)
    assert dict(table.rows()) == {"a": b"new"}
    assert told == [*((key, b"old") for key in "abcdef"), ("a", b"new"), *((key, GONE) for key in "bcdef")]
    table.close()
    assert dict(opened(tmp_path, second).rows()) == {"a": b"new"}


def test_a_topic_cut_at_its_beginning_is_read_from_where_it_starts_now(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    topic.start, topic.end, topic.log = 100, 100, []
    topic.append("b", "2")
    table = opened(tmp_path, topic)
    assert (table.get("a"), table.get("b")) == (None, b"2"), "what retention removed goes"
    table.close()


class Rising(PlainRows):
    """A smaller value is refused, and `bug` breaks the rule."""

    def take(self, old: bytes | None, record: Record, now_ms: int) -> tuple[bytes | None, bytes | None]:
        if record.value == b"refused" or (old and record.value and record.value < old):
            raise Refused("smaller")
        return record.value, record.value


def test_a_refused_record_changes_nothing_and_is_counted(tmp_path: Path) -> None:
    topic = Topic()
    for value in ("3", "1", "4", "2", "refused"):
        topic.append("a", value)
    table = opened(tmp_path, topic, Rising())
    assert table.get("a") == b"4"
    assert table.refused == {"smaller": 3}
    table.close()


def test_without_the_broker_the_last_copy_serves_and_it_comes_back(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    topic.broken = True
    table = made(tmp_path, topic)
    assert not table.open(0.05)
    assert (table.get("a"), table.complete, table.age_s) == (b"1", False, float("inf"))
    topic.append("b", "2")
    topic.broken = False
    until(lambda: table.complete and table.get("b") == b"2")
    table.close()


def test_close_gives_the_folder_and_the_thread_back(tmp_path: Path) -> None:
    before = threading.active_count()
    for _ in range(3):
        opened(tmp_path, Topic()).close()
    assert threading.active_count() == before


def test_the_age_grows_while_records_cannot_be_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker answers each retry; the table is as old as its last row."""
    monkeypatch.setattr("operators.kafka_io.compacted_table.RETRY_SECONDS", 0.01)
    topic, failures = Topic(), []

    class Failing(PlainRows):
        def take(self, old: bytes | None, record: Record, now_ms: int) -> tuple[bytes | None, bytes | None]:
            if record.value == b"2":
                failures.append(record)
                raise OSError("No space left on device")
            return super().take(old, record, now_ms)

    topic.append("a", "1")
    table = opened(tmp_path, topic, Failing())
    reached_at = table._reached_at
    topic.append("b", "2")
    until(lambda: len(failures) > 20)
    assert table._reached_at == reached_at and table.age_s >= 0.2
    table.close()


def test_an_error_that_is_not_the_brokers_does_not_end_the_thread(tmp_path: Path) -> None:
    """Such as a full disk."""
    topic, failures = Topic(), [OSError("No space left on device"), MemoryError()]
    topic.append("a", "1")

    class Failing(PlainRows):
        def take(self, old: bytes | None, record: Record, now_ms: int) -> tuple[bytes | None, bytes | None]:
            if failures:
                raise failures.pop()
            return super().take(old, record, now_ms)

    table = opened(tmp_path, topic, Failing())
    topic.append("b", "2")
    until(lambda: table.get("b") == b"2")
    assert not failures and table.get("a") == b"1"
    table.close()


def test_a_record_that_breaks_the_rule_is_counted_and_those_behind_it_are_read(tmp_path: Path) -> None:
    class Broken(PlainRows):
        def take(self, old: bytes | None, record: Record, now_ms: int) -> tuple[bytes | None, bytes | None]:
            if record.value == b"poison":
                raise ValueError("a bug")
            return super().take(old, record, now_ms)

    topic = Topic()
    for key, value in (("a", "1"), ("a", "poison"), ("b", "2")):
        topic.append(key, value)
    table = opened(tmp_path, topic, Broken())
    assert (table.get("a"), table.get("b"), table.refused) == (b"1", b"2", {"own_error": 1})
    table.close()


def test_a_reader_that_fails_on_one_record_does_not_miss_the_others(tmp_path: Path) -> None:
    """Neither at open nor later."""
    topic, told = Topic(), Told()
    for key in "abc":
        topic.append(key, "1")
    opened(tmp_path, topic).close()
    for key in "def":
        topic.append(key, "1")

    def fails(key: str, value: bytes | None) -> None:
        if key in "be":
            raise ValueError("a reader's own")
        told(key, value)

    table = opened(tmp_path, topic, on_change=fails)
    assert [key for key, _ in told] == ["a", "c", "d", "f"]
    assert table.refused == {"not_told": 2}
    table.close()


def test_a_topic_that_ends_with_a_transactions_marker_is_complete(tmp_path: Path) -> None:
    """The last offset is the marker's; no reader gets it as a record."""
    topic = Topic()
    topic.append("a", "1")

    class WithMarker(Consumer):
        def end_offsets(
            self, partitions: list[TopicPartition], timeout_ms: int | None = None
        ) -> dict[TopicPartition, int]:
            return {partitions[0]: 2}

        def position(self, partition: TopicPartition) -> int:
            return self._at + 1 if self._at else 0

    table = CompactedTable(TOPIC, tmp_path, lambda: WithMarker(topic), PlainRows())
    assert table.open(5)
    table.close()


def test_a_damaged_copy_is_made_anew_from_the_topic(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    opened(tmp_path, topic).close()
    for file in tmp_path.glob("MANIFEST*"):
        file.write_bytes(b"\xff" * file.stat().st_size)
    table = opened(tmp_path, topic)
    assert table.get("a") == b"1"
    table.close()


def test_a_copy_of_another_format_is_made_anew_from_the_topic(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    table = opened(tmp_path, topic)
    table._rows._db.put(b"n", b'{"format":1}')
    table._rows._db.put(b"kold", b"of an older release")
    table.close()
    table = opened(tmp_path, topic)
    assert dict(table.rows()) == {"a": b"1"}
    table.close()


class Perishable(PlainRows):
    """A row goes when its number, in seconds of the clock, has passed."""

    sweeps = True

    def stale(self, row: bytes, now_ms: int, tombstones_ms: int) -> bool:
        return int(row) * 1000 < now_ms


@pytest.mark.usefixtures("impatient")
def test_stale_rows_are_swept_a_few_at_a_time(tmp_path: Path) -> None:
    topic, clock, told = Topic(), Clock(), Told()
    second = clock.now // 1000
    for number in range(20):
        topic.append(f"k{number:02}", str(second + number))
    table = opened(tmp_path, topic, Perishable(), on_change=told, clock_ms=clock)
    clock.now += 9_500
    until(lambda: [key for key, _ in table.rows()] == [f"k{number:02}" for number in range(10, 20)])
    until(lambda: sorted(told[20:]) == [(f"k{number:02}", None) for number in range(10)])
    table.close()
