"""A topic to a file and back, with a fake producer."""

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


def record(partition: int, offset: int, value: bytes | None = b"v", **fields: Any) -> SimpleNamespace:
    values = {"key": b"k", "timestamp": NOW - 8 * DAY + offset, "headers": []} | fields
    return SimpleNamespace(partition=partition, offset=offset, value=value, **values)


class Weak(SimpleNamespace):
    """A record with weak references, so that a test can count the live ones."""

    __hash__ = object.__hash__


class Producer:
    """Answers at `flush`; with the broker's own time if `own_ms` is set. Refuses record number `refuses`."""

    def __init__(self, own_ms: int | None = None, refuses: int | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.max_unflushed = 0
        self._own_ms, self._refuses, self._unflushed = own_ms, refuses, []

    def __call__(self, settings: KafkaSettings, **options: Any) -> "Producer":
        self.options = options
        return self

    def send(self, topic: str, value: bytes | None, **arguments: Any) -> Any:
        self.sent.append({"topic": topic, "value": value} | arguments)
        future = SimpleNamespace(callbacks=[], errbacks=[], number=len(self.sent), ms=arguments["timestamp_ms"])
        future.add_callback, future.add_errback = future.callbacks.append, future.errbacks.append
        self._unflushed.append(future)
        self.max_unflushed = max(self.max_unflushed, len(self._unflushed))
        return future

    def flush(self) -> None:
        for future in self._unflushed:
            if future.number == self._refuses:
                future.errbacks[0](RuntimeError("too large"))
            else:
                future.callbacks[0](SimpleNamespace(timestamp=self._own_ms or future.ms))
        self._unflushed.clear()

    def close(self) -> None:
        self.flush()


def import_file(monkeypatch: pytest.MonkeyPatch, producer: Producer, file: Path, **options: Any) -> Any:
    monkeypatch.setattr(topic_archive, "new_producer", producer)
    return import_records(KafkaSettings(), "shop.a", file, NOW, **options)


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
    topic_import = import_file(monkeypatch, producer, tmp_path / "a.gz")
    for original, sent in zip(records, producer.sent, strict=True):
        assert (sent["value"], sent["key"], sent["partition"]) == (original.value, original.key, original.partition)
        assert sent["timestamp_ms"] == original.timestamp
        assert sent["headers"] == [(name, value or b"") for name, value in original.headers]
    assert topic_import.ends == {0: 2, 1: 1}
    assert topic_import.records == 3


def test_the_next_offset_of_the_state_is_one_of_the_new_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction leaves gaps: partition 0 holds offsets 3, 8 and 11, the state's next one is 8; it has seen all of 1."""
    records = [record(0, 3), record(0, 8), record(0, 11), record(1, 5), record(2, 0)]
    export_records(records, tmp_path / "a.gz")
    topic_import = import_file(monkeypatch, Producer(), tmp_path / "a.gz", seen_until={0: 8, 1: 6, 3: 40})
    assert [topic_import.next_offset(partition) for partition in range(4)] == [1, 1, 0, 0]


def test_records_of_an_old_archive_get_the_time_of_the_backup_and_count_as_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {"partition": 0, "key": None, "value": b64encode(b"v").decode(), "headers": {"h": b64encode(b"1").decode()}}
    (tmp_path / "a.gz").write_bytes(gzip.compress(json.dumps(line).encode() + b"\n"))
    producer = Producer()
    topic_import = import_file(monkeypatch, producer, tmp_path / "a.gz", seen_until={0: 8})
    assert topic_import.next_offset(0) == 0
    assert producer.sent[0]["timestamp_ms"] == NOW
    assert producer.sent[0]["headers"] == [("h", b"1")]


def test_a_topic_with_log_append_time_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_records([record(0, 7)], tmp_path / "a.gz")
    with pytest.raises(BrokerError, match=r"message\.timestamp\.type"):
        import_file(monkeypatch, Producer(own_ms=NOW), tmp_path / "a.gz")


def test_a_record_that_is_refused_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_records([record(0, 7), record(0, 8), record(0, 9)], tmp_path / "a.gz")
    with pytest.raises(BrokerError, match="too large"):
        import_file(monkeypatch, Producer(refuses=2), tmp_path / "a.gz")


def test_export_and_import_hold_few_records_of_a_long_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[SimpleNamespace] = weakref.WeakSet()
    max_alive, value = 0, b"x" * 100_000

    def records() -> Any:
        nonlocal max_alive
        for offset in range(500):
            archived = Weak(**vars(record(0, offset, value)))
            alive.add(archived)
            max_alive = max(max_alive, len(alive))
            yield archived

    export_records(records(), tmp_path / "a.gz")
    assert max_alive <= 2
    assert len(list(itertools.islice(read_archive(tmp_path / "a.gz"), 2))) == 2
    producer = Producer()
    import_file(monkeypatch, producer, tmp_path / "a.gz")
    assert len(producer.sent) == 500
    assert producer.max_unflushed < 200  # 16 MB of 50
