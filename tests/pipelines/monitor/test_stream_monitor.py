"""The monitor's handling of records; tests/stack/test_watching.py has the broker."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from kafka import TopicPartition

from operators.records.contracts import CATALOGUE, CatalogueItem, encode_record
from operators.settings import Settings
from pipelines.monitor.stream_monitor import StreamMonitor, in_partitions
from tests.bad_records import good_event
from tests.builders import NOW_MS


@dataclass
class Record:
    key: bytes | None
    value: bytes | None
    timestamp: int = NOW_MS


@pytest.fixture
def monitor() -> StreamMonitor:
    stream_monitor = StreamMonitor(Settings.model_construct())
    stream_monitor._is_sampled = lambda key: key != "elsewhere"
    stream_monitor._catalogue(
        "i1", Record(b"i1", encode_record(CatalogueItem(item_id="i1", title="Mug", price=5.0, category="Home")))
    )
    return stream_monitor


def event(user: str, number: int, **fields) -> Record:
    body = good_event(NOW_MS, event_id=f"e{number}", user_id=user, **({"item_id": "i1"} | fields))
    return Record(user.encode(), json.dumps(body).encode())


def list_record(user: str, event_id: str, timestamp: int) -> Record:
    body = {
        "recommendation_id": "r", "user_id": user, "version": 1, "event_time": NOW_MS, "event_id": event_id, "generated_at": 1,
        "model": {"name": "m", "version": "1"}, "source": "model", "expires_at": 1,
        "items": [{"item_id": "i1", "score": 1.0, "rank": 1, "reason": {"kind": "for_you"}}],
    }  # fmt: skip
    return Record(user.encode(), json.dumps(body).encode(), timestamp)


def delays(monitor: StreamMonitor) -> tuple[float | None, float | None]:
    value = monitor.metrics.registry.get_sample_value
    return value("liveshelf_shopper_delay_seconds_count"), value("liveshelf_shopper_delay_seconds_sum")


def test_a_shoppers_list_is_waited_for_and_its_delay_is_that_of_the_records(monitor: StreamMonitor) -> None:
    monitor._event("u", event("u", 1))
    monitor._list("u", list_record("u", "e1", NOW_MS + 40))
    assert delays(monitor) == (1, pytest.approx(0.04))
    assert monitor.metrics.categories == {"Home": 1}


def test_what_makes_no_list_is_not_waited_for(monitor: StreamMonitor) -> None:
    monitor._event("u", event("u", 1, event_type="impression", items=["i1"]))
    monitor._event("u", event("u", 1))
    monitor._event("elsewhere", event("elsewhere", 2))
    monitor._event("", Record(None, event("keyless", 3).value))
    monitor._event("u", Record(b"u", b"{"))
    assert monitor._shoppers._shoppers == {}
    failed = monitor.metrics.failed
    assert (failed["shop.events.v1", "unique"], failed["shop.events.v1", "valid"]) == (1, 1)


def test_the_sample_is_by_kafkas_own_partitioner() -> None:
    follows = in_partitions(frozenset({0}), 4)
    share = sum(follows(f"u{n}") for n in range(4000)) / 4000
    assert 0.22 < share < 0.28
    # as `kafka-console-producer` puts them into 4 partitions (murmur2, as Java's default)
    assert [in_partitions(frozenset({p}), 4)("u1") for p in range(4)].count(True) == 1


class Catalogue:
    """A consumer of the catalogue: 10 records at the start, then 12; a poll returns three."""

    def __init__(self) -> None:
        self.offset = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 10)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.offset = offset

    def position(self, partition: TopicPartition) -> int:
        return self.offset

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[SimpleNamespace]]:
        records = [
            SimpleNamespace(key=b"i1", value=None, offset=n) for n in range(self.offset, min(self.offset + 3, 12))
        ]
        self.offset += len(records)
        return {TopicPartition(CATALOGUE, 0): records}


def test_a_product_published_while_the_catalogue_is_read_comes_next(monitor: StreamMonitor) -> None:
    calls: list[dict[int, int]] = []
    monitor._letters = SimpleNamespace(begin=calls.append, commit=calls.append)  # type: ignore[assignment]
    assert monitor._read_catalogue(Catalogue()) == {TopicPartition(CATALOGUE, 0): 10}
    assert calls == [{0: 10}, {0: 10}], "what lies behind the end has no letters yet"


def test_a_monitor_that_is_stopped_notes_how_far_it_read(monitor: StreamMonitor) -> None:
    calls: list[dict[int, int]] = []
    monitor._letters = SimpleNamespace(begin=calls.append, commit=calls.append)  # type: ignore[assignment]
    monitor._stop = SimpleNamespace(is_set=lambda looks=iter([False, False, True]): next(looks))  # type: ignore[assignment]
    assert monitor._read_catalogue(Catalogue()) == {TopicPartition(CATALOGUE, 0): 6}
    assert calls[-1] == {0: 6}


def test_the_disk_is_measured_before_the_folder_is_made(tmp_path: Path) -> None:
    settings = Settings.of_dump(
        Settings.model_construct().model_dump() | {"stack": {"data_dir": str(tmp_path / "new")}}
    )
    free = StreamMonitor(settings).metrics.registry.get_sample_value("liveshelf_disk_free_ratio", {"path": "new"})
    assert free is not None and 0 < free <= 1
