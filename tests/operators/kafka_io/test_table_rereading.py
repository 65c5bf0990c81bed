"""When a table reads its topic again from the beginning, and what serves meanwhile."""

import time
from pathlib import Path

import pytest

from operators.time_units import DAY_MS
from tests.operators.kafka_io.fake_topic import GONE, Clock, Record, Told, Topic, made, opened, until
from tests.operators.kafka_io.plain_rows import PlainRows


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
