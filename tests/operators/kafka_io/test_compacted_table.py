"""The table over a fake consumer; the real broker is in tests/stack."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaTimeoutError

from operators.kafka_io import compacted_table
from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.row_rules import Refused
from tests.plain_rows import PlainRows

TOPIC = "t"
DAY_MS = 86_400_000
GONE = b"gone"


class Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012


class Topic:
    """One partition that a test appends to; `broken` makes every call fail, `mute` leaves every poll without an answer."""

    def __init__(self, topic_id: str | None = "first") -> None:
        self.id = topic_id
        self.log: list[Record] = []
        self.start = 0
        self.end = 0
        self.unread = 0  # records that the end counts and no poll brings yet
        self.most = 5000  # records a poll
        self.partitions = {0}
        self.tombstones_ms: int | None = 7 * DAY_MS
        self.broken = self.mute = False
        self.connects = 0

    def append(self, key: str, value: str | None) -> None:
        self.log.append(Record(self.end, key.encode(), None if value is None else value.encode()))
        self.end += 1

    def compact(self, *keys: str) -> None:
        """What the log cleaner does: only the newest record of a key stays, and of `keys` not even the tombstone."""
        newest = {record.key: record for record in self.log}
        self.log = sorted(record for key, record in newest.items() if key.decode() not in keys)

    def connect(self) -> "Consumer":
        self.connects += 1
        return Consumer(self)


class Consumer:
    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._at = 0

    def _check(self) -> None:
        if self._topic.broken:
            raise KafkaConnectionError("down")

    def topic_id(self, topic: str) -> str | None:
        return self._topic.id

    def tombstones_ms(self, topic: str) -> int | None:
        return self._topic.tombstones_ms

    def partitions_for_topic(self, topic: str) -> set[int]:
        self._check()
        return self._topic.partitions

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._check()

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self._topic.start if partition.partition == 0 else 0 for partition in partitions}

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int | None = None) -> dict[TopicPartition, int]:
        if self._topic.mute:
            raise KafkaTimeoutError("no answer")
        end = self._topic.end + self._topic.unread
        return {partition: end if partition.partition == 0 else 0 for partition in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition.partition == 0:
            self._at = offset

    def position(self, partition: TopicPartition) -> int:
        return self._at if partition.partition == 0 else 0

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        self._check()
        found = [] if self._topic.mute else [record for record in self._topic.log if record.offset >= self._at]
        found = found[: min(max_records, self._topic.most)]
        if not found:
            self._at = self._at if self._topic.mute else self._topic.end
            time.sleep(min(timeout_ms, 5) / 1000)
            return {}
        self._at = found[-1].offset + 1
        return {TopicPartition(TOPIC, 0): found}

    def close(self) -> None:
        pass


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def made(folder: Path, topic: Topic, rule: PlainRows | None = None, **options) -> CompactedTable[bytes]:
    return CompactedTable(TOPIC, folder, topic.connect, rule or PlainRows(GONE), **options)


def opened(folder: Path, topic: Topic, rule: PlainRows | None = None, **options) -> CompactedTable[bytes]:
    table = made(folder, topic, rule, **options)
    assert table.open(5)
    return table


class Told(list[tuple[str, bytes | None]]):
    """What a table told."""

    def __call__(self, key: str, value: bytes | None) -> None:
        self.append((key, value))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is asked all the time, stale rows are looked for all the time, few at once."""
    for name, value in {"LOOK_SECONDS": 0.0, "RETRY_SECONDS": 0.01, "SWEEP_SECONDS": 0.0, "SWEEP_ROWS": 2}.items():
        monkeypatch.setattr(compacted_table, name, value)


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


class Clock:
    """Epoch ms that a test sets."""

    def __init__(self) -> None:
        self.now = 1_760_000_000_000

    def __call__(self) -> int:
        return self.now


def after_a_compacted_tombstone(folder: Path, offline_ms: int, tombstones_ms: int | None) -> dict[str, bytes]:
    """What a table holds that was offline while a row was deleted and its tombstone compacted away."""
    topic, clock = Topic(), Clock()
    topic.tombstones_ms = tombstones_ms
    topic.append("erased", "1")
    topic.append("b", "1")
    opened(folder, topic, clock_ms=clock).close()
    topic.append("erased", None)
    topic.append("b", "2")
    topic.compact("erased")
    clock.now += offline_ms
    table = opened(folder, topic, clock_ms=clock)
    held = dict(table.rows())
    table.close()
    return held


@pytest.mark.parametrize(
    ("offline_ms", "tombstones_ms", "trusted"),
    [
        (6 * DAY_MS, 7 * DAY_MS, True),
        (7 * DAY_MS, 7 * DAY_MS, False),
        (DAY_MS // 48, None, True),
        (DAY_MS // 12, None, False),
        (-DAY_MS, 7 * DAY_MS, False),
        (1, 0, False),
    ],
    ids=["in time", "too old", "not described, young", "not described, old", "from the future", "no retention"],
)
def test_a_copy_older_than_the_topics_memory_of_deletions_is_read_again(
    tmp_path: Path, offline_ms: int, tombstones_ms: int | None, trusted: bool
) -> None:
    """A copy that is young enough is followed on: its row stays here because the fake loses the tombstone too soon."""
    held = after_a_compacted_tombstone(tmp_path, offline_ms, tombstones_ms)
    assert held == ({"erased": b"1", "b": b"2"} if trusted else {"b": b"2"})


def test_the_old_copy_serves_while_the_topic_is_read_again_and_a_kill_in_between_does_no_harm(tmp_path: Path) -> None:
    first, second = Topic("first"), Topic("second")
    for number in range(10):
        first.append(f"k{number}", "old")
    opened(tmp_path, first).close()
    for number in range(0, 10, 2):
        second.append(f"k{number}", "new")
    second.unread = 1
    table = made(tmp_path, second)
    assert not table.open(0.3)
    assert (table.get("k0"), table.get("k1")) == (b"new", b"old")
    table.close()
    second.unread = 0
    table = opened(tmp_path, second)
    assert dict(table.rows()) == {f"k{number}": b"new" for number in range(0, 10, 2)}
    table.close()


def test_what_an_interrupted_reading_marked_goes_when_the_topic_is_made_anew_once_more(tmp_path: Path) -> None:
    topics = [Topic("first"), Topic("second"), Topic("third")]
    for topic, keys in zip(topics, ("abc", "ab", "a"), strict=True):
        for key in keys:
            topic.append(key, topic.id)
    topics[1].unread = 1
    opened(tmp_path, topics[0]).close()
    interrupted = made(tmp_path, topics[1])
    assert not interrupted.open(0.3)
    interrupted.close()
    table = opened(tmp_path, topics[2])
    assert dict(table.rows()) == {"a": b"third"}
    table.close()


@pytest.mark.usefixtures("impatient")
def test_a_topic_that_is_made_anew_under_a_running_table_is_read_again(tmp_path: Path) -> None:
    topic, told = Topic(), Told()
    for key in "abcde":
        topic.append(key, "old")
    table = opened(tmp_path, topic, on_change=told)
    topic.id, topic.log, topic.end = "second", [], 0
    for _ in range(6):  # past the offset that the table stands at
        topic.append("a", "new")
    until(lambda: dict(table.rows()) == {"a": b"new"})
    assert {(key, GONE) for key in "bcde"} < set(told)
    table.close()


@pytest.mark.usefixtures("impatient")
def test_a_silence_longer_than_the_topics_memory_is_read_again(tmp_path: Path) -> None:
    """A consumer whose broker is away raises no error: it polls, and gets nothing, and then goes on."""
    topic, clock = Topic(), Clock()
    topic.append("erased", "1")
    topic.append("b", "1")
    table = opened(tmp_path, topic, clock_ms=clock)
    topic.mute = True
    topic.append("erased", None)
    topic.append("c", "1")
    topic.compact("erased")
    until(lambda: table.age_s > 0.05)
    clock.now += 7 * DAY_MS
    topic.mute = False
    until(lambda: dict(table.rows()) == {"b": b"1", "c": b"1"})
    table.close()


@pytest.mark.usefixtures("impatient")
def test_a_reading_that_takes_longer_than_the_topics_memory_is_not_begun_for_ever(tmp_path: Path) -> None:
    topic, clock = Topic(), Clock()
    topic.tombstones_ms, topic.most = 0, 1
    for key in "abcde":
        topic.append(key, "1")

    class Slow(PlainRows):
        def take(self, old: bytes | None, record: Record, now_ms: int) -> tuple[bytes | None, bytes | None]:
            clock.now += 30_000
            return super().take(old, record, now_ms)

    table = opened(tmp_path, topic, Slow(), clock_ms=clock)
    time.sleep(0.3)
    assert (topic.connects, len(dict(table.rows()))) == (1, 5)
    table.close()


@pytest.mark.usefixtures("impatient")
def test_a_new_partition_is_followed_and_the_copy_stays(tmp_path: Path) -> None:
    topic = Topic()
    topic.append("a", "1")
    table = opened(tmp_path, topic)
    topic.partitions = {0, 1}
    until(lambda: topic.connects == 2)
    topic.append("b", "1")
    until(lambda: table.get("b") == b"1")
    assert table.get("a") == b"1"
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
