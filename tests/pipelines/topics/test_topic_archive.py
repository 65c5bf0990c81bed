"""A topic as a file and back, with a producer that is no broker's."""

import gzip
import itertools
import json
import weakref
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operators.errors import BrokerError
from operators.settings import KafkaSettings
from pipelines.topics import topic_archive
from pipelines.topics.topic_archive import export_records, import_records, read_archive

DAY = 86_400_000
NOW = 1_800_000_000_000


def record(partition: int, offset: int, value: bytes | None = b"v", **more: Any) -> SimpleNamespace:
    given = {"key": b"k", "timestamp": NOW - 8 * DAY + offset, "headers": []} | more
    return SimpleNamespace(partition=partition, offset=offset, value=value, **given)


class Weak(SimpleNamespace):
    """A record that can be counted while it lives."""

    __hash__ = object.__hash__


class Producer:
    """Takes all and answers at `flush`, as the broker with its own time where `own_ms` is set."""

    def __init__(self, own_ms: int | None = None, refuses: int | None = None) -> None:
        self.taken: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.most_waiting = 0
        self._own_ms, self._refuses, self._waiting = own_ms, refuses, []

    def __call__(self, settings: KafkaSettings, **options: Any) -> "Producer":
        self.options = options
        return self

    def send(self, topic: str, value: bytes | None, **more: Any) -> Any:
        self.taken.append({"topic": topic, "value": value} | more)
        answer = SimpleNamespace(callbacks=[], errbacks=[], number=len(self.taken), ms=more["timestamp_ms"])
        answer.add_callback, answer.add_errback = answer.callbacks.append, answer.errbacks.append
        self._waiting.append(answer)
        self.most_waiting = max(self.most_waiting, len(self._waiting))
        return answer

    def flush(self) -> None:
        for answer in self._waiting:
            if answer.number == self._refuses:
                answer.errbacks[0](RuntimeError("too large"))
            else:
                answer.callbacks[0](SimpleNamespace(timestamp=self._own_ms or answer.ms))
        self._waiting.clear()

    def close(self) -> None:
        self.flush()


def imported(monkeypatch: pytest.MonkeyPatch, producer: Producer, file: Path, **more: Any) -> Any:
    monkeypatch.setattr(topic_archive, "new_producer", producer)
    return import_records(KafkaSettings(), "shop.a", file, NOW, **more)


def test_a_record_comes_back_with_its_bytes_its_headers_its_order_and_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = [("a", b"\xff\x00"), ("b", None), ("a", b"again")]
    records = [
        record(0, 7, b"\xff\xfe\x00", headers=headers),
        record(0, 9, None, key=None),
        record(1, 3, b""),
    ]
    assert export_records(iter(records), tmp_path / "a.gz") == 3
    producer = Producer()
    found = imported(monkeypatch, producer, tmp_path / "a.gz")
    for was, now in zip(records, producer.taken, strict=True):
        assert (now["value"], now["key"], now["partition"]) == (was.value, was.key, was.partition)
        assert now["timestamp_ms"] == was.timestamp
        assert now["headers"] == [(name, value or b"") for name, value in was.headers]
    assert found.ends == {0: 2, 1: 1}
    assert found.records == 3


def test_where_the_state_goes_on_is_counted_in_the_new_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction leaves gaps: partition 0 holds offsets 3, 8 and 11, the state stands at 8; of 1 it has seen all."""
    records = [record(0, 3), record(0, 8), record(0, 11), record(1, 5), record(2, 0)]
    export_records(records, tmp_path / "a.gz")
    found = imported(monkeypatch, Producer(), tmp_path / "a.gz", seen_until={0: 8, 1: 6, 3: 40})
    assert [found.stands(partition) for partition in range(4)] == [1, 1, 0, 0]


def test_an_archive_of_before_has_the_time_of_its_backup_and_nothing_of_it_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {"partition": 0, "key": None, "value": b64encode(b"v").decode(), "headers": {"h": b64encode(b"1").decode()}}
    (tmp_path / "a.gz").write_bytes(gzip.compress(json.dumps(line).encode() + b"\n"))
    producer = Producer()
    found = imported(monkeypatch, producer, tmp_path / "a.gz", seen_until={0: 8})
    assert found.stands(0) == 0
    assert producer.taken[0]["timestamp_ms"] == NOW
    assert producer.taken[0]["headers"] == [("h", b"1")]


def test_a_topic_that_gives_its_own_times_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_records([record(0, 7)], tmp_path / "a.gz")
    with pytest.raises(BrokerError, match=r"message\.timestamp\.type"):
        imported(monkeypatch, Producer(own_ms=NOW), tmp_path / "a.gz")


def test_a_record_that_is_refused_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_records([record(0, 7), record(0, 8), record(0, 9)], tmp_path / "a.gz")
    with pytest.raises(BrokerError, match="too large"):
        imported(monkeypatch, Producer(refuses=2), tmp_path / "a.gz")


def test_a_long_topic_is_neither_held_when_it_is_written_nor_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[SimpleNamespace] = weakref.WeakSet()
    most, value = 0, b"x" * 100_000

    def records() -> Any:
        nonlocal most
        for offset in range(500):
            one = Weak(**vars(record(0, offset, value)))
            alive.add(one)
            most = max(most, len(alive))
            yield one

    export_records(records(), tmp_path / "a.gz")
    assert most <= 2
    assert len(list(itertools.islice(read_archive(tmp_path / "a.gz"), 2))) == 2
    producer = Producer()
    imported(monkeypatch, producer, tmp_path / "a.gz")
    assert len(producer.taken) == 500
    assert producer.most_waiting < 200  # 16 MB of 50
