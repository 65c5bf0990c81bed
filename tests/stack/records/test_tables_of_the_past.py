"""What time does to a reader's copy: topics made anew, tombstones compacted away, lists that expire, items of tomorrow."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaProducer

from operators.kafka_io import compacted_table
from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.table_consumer import kafka_consumer
from operators.records.contracts import CATALOGUE, ORDER_HEADER, RECOMMENDATIONS, CatalogueItem, encode_record
from tests.operators.kafka_io.plain_rows import PlainRows
from tests.operators.kafka_io.test_list_rows import list_of
from tests.running_stack import LINK, Stack
from tests.stack.topics import eventually

# segments that close at once, tombstones that go with the second cleaning
HASTY = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": "1000",
    "max.compaction.lag.ms": "1000",
}
PATIENT = {"cleanup.policy": "compact", "delete.retention.ms": "604800000"}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Shop:
    """One topic of a test, which may be made anew, and its local table."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._admin = KafkaAdminClient(**stack.settings.kafka.client_options())
        self.name = f"test.table.{now_ms()}"
        self.told: list[tuple[str, bytes | None]] = []

    def make(self, config: dict[str, str], partitions: int = 2) -> None:
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": config}
        self._admin.create_topics({self.name: wanted}, wait_for_metadata=True)

    def remove(self) -> None:
        self._admin.delete_topics([self.name])
        eventually(lambda: self.name not in self._admin.list_topics())

    def put(self, rows: dict[str, str | None]) -> None:
        for key, value in rows.items():
            self._stack.topics.send(self.name, key, None if value is None else value.encode())
        self._stack.topics.producer.flush()

    def table(self, port: int | None = None) -> CompactedTable[bytes]:
        options = self._stack.settings.kafka.consumer_options()
        if port is not None:
            options |= {"bootstrap_servers": [f"127.0.0.1:{port}"]}
        table = CompactedTable(
            self.name,
            self._folder,
            lambda: kafka_consumer(options),
            PlainRows(b"gone"),
            on_change=lambda key, value: self.told.append((key, value)),
        )
        table.open(30)
        return table

    def held(self) -> set[str]:
        return {record.key.decode() for record in self._stack.topics.read(self.name)}

    def close(self) -> None:
        self._admin.delete_topics([self.name])
        self._admin.close()


@pytest.fixture
def shop(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(compacted_table, "CHECK_SECONDS", 0.2)
    made = Shop(stack, tmp_path / "table")
    yield made
    made.close()


def test_a_topic_made_anew_past_the_copys_offset_leaves_nothing_of_the_old_one(shop: Shop) -> None:
    shop.make(PATIENT)
    shop.put({f"old{number}": "1" for number in range(10)})
    shop.table().close()
    shop.remove()
    shop.make(PATIENT)
    shop.put({f"new{number}": "2" for number in range(40)})
    table = shop.table()
    assert table.complete
    assert dict(table.rows()) == {f"new{number}": b"2" for number in range(40)}
    assert {f"old{number}" for number in range(10)} == {key for key, value in shop.told if value == b"gone"}
    table.close()


def test_a_topic_made_anew_under_a_running_table_too(shop: Shop) -> None:
    shop.make(PATIENT)
    shop.put({f"old{number}": "1" for number in range(10)})
    table = shop.table()
    assert len(dict(table.rows())) == 10
    shop.remove()
    shop.make(PATIENT)
    shop.put({f"new{number}": "2" for number in range(40)})
    eventually(lambda: set(dict(table.rows())) == {f"new{number}" for number in range(40)}, 60)
    shop.put({"new1": "3"})
    eventually(lambda: table.get("new1") == b"3")
    table.close()


@pytest.mark.slow
def test_a_row_whose_tombstone_was_compacted_away_while_nobody_looked_goes(shop: Shop) -> None:
    shop.make(HASTY, partitions=1)
    shop.put({"erased": "1", "kept": "1"})
    shop.table().close()
    shop.put({"erased": None})

    def is_gone() -> bool:  # each put closes the segment before it, and only closed ones are cleaned
        shop.put({"filler": str(now_ms())})
        return "erased" not in shop.held()

    eventually(is_gone, 90)
    table = shop.table()
    assert table.complete
    assert set(dict(table.rows())) == {"kept", "filler"}
    assert ("erased", b"gone") in shop.told
    table.close()


def test_partitions_that_are_added_are_read_and_the_copy_stays(shop: Shop) -> None:
    shop.make(PATIENT, partitions=1)
    shop.put({"a": "1"})
    shop.table().close()
    shop._admin.create_partitions({shop.name: 3})
    with contextlib.closing(KafkaProducer(**shop._stack.settings.kafka.producer_options())) as producer:
        for number in range(20):
            producer.send(shop.name, key=f"k{number}".encode(), value=b"2")
        producer.flush()
    table = shop.table()
    assert dict(table.rows()) == {"a": b"1"} | {f"k{number}": b"2" for number in range(20)}
    assert b"gone" not in {value for _, value in shop.told}
    table.close()


@pytest.mark.slow
def test_the_age_grows_while_the_broker_is_out_of_reach(shop: Shop, stack: Stack) -> None:
    """A consumer raises nothing then: it polls, and gets nothing."""
    shop.make(PATIENT)
    shop.put({"a": "1"})
    table = shop.table(LINK)
    assert table.get("a") == b"1" and table.age_s < 3
    stack.proxy.link.cut = True
    try:
        eventually(lambda: table.age_s > 6, 30)
    finally:
        stack.proxy.heal()
    shop.put({"a": "2"})
    eventually(lambda: table.get("a") == b"2" and table.age_s < 3, 60)
    table.close()


@pytest.fixture
def reader(stack: Stack, job: str) -> Callable[[str], dict[str, Any]]:
    """What the storefront answers for a user."""
    eventually(lambda: httpx.get(f"{stack.shop}/readyz").status_code == 200, 60)
    return lambda user: httpx.get(f"{stack.shop}/v1/users/{user}/recommendations").raise_for_status().json()


def publish(stack: Stack, user: str, value: bytes | None, order: str | None = None) -> None:
    headers = [(ORDER_HEADER, order.encode())] if order else []
    stack.topics.producer.send(RECOMMENDATIONS, key=user.encode(), value=value, headers=headers)
    stack.topics.producer.flush()


def made(user: str, version: int, **fields: Any) -> bytes:
    usual = {"expires_at": now_ms() + 3_600_000, "event_time": now_ms(), "generated_at": now_ms()}
    return msgspec.json.encode(list_of(9, version, user=user, **(usual | fields)))


def test_an_expired_list_is_served_as_none_and_said_to_be_expired(
    stack: Stack, reader: Callable[[str], dict[str, Any]]
) -> None:
    user = f"expires{now_ms()}"
    with httpx.stream("GET", f"{stack.shop}/v1/users/{user}/recommendations/stream", timeout=30) as stream:
        told = (json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:"))
        seen = [next(told)]
        publish(stack, user, made(user, 4, expires_at=now_ms() + 3000))
        seen += [next(told), next(told)]
    assert [(one["known"], one["expired"], one["version"]) for one in seen] == [
        (False, False, 0),
        (True, False, 4),
        (False, True, 0),
    ]
    answer = reader(user)
    assert (answer["known"], answer["expired"], answer["source"], answer["expires_at"]) == (
        False,
        True,
        "popular",
        None,
    )
    assert answer["items"]
    said = stack.liveshelf("lists", user)
    assert "version 4" in said.stderr and "expired" in said.stderr
    assert json.loads(stack.liveshelf("lists", user, "--json").stdout)["expired"] is True


def test_a_list_that_comes_late_after_an_erasure_and_a_record_that_is_none(
    stack: Stack, reader: Callable[[str], dict[str, Any]]
) -> None:
    user = f"late{now_ms()}"

    def refused(reason: str) -> int:
        page = httpx.get(f"{stack.shop}/metrics").text
        name = f'liveshelf_storefront_refused_lists_total{{reason="{reason}"}} '
        return int(float(next(line for line in page.splitlines() if line.startswith(name)).split()[-1]))

    before = {reason: refused(reason) for reason in ("erased", "not_a_list")}
    publish(stack, user, made(user, 5))
    eventually(lambda: reader(user)["version"] == 5)
    publish(stack, user, b'{"version": 6}')
    eventually(lambda: refused("not_a_list") == before["not_a_list"] + 1)
    assert reader(user)["version"] == 5
    publish(stack, user, None, "9.6")
    eventually(lambda: not reader(user)["known"])
    publish(stack, user, made(user, 5))
    eventually(lambda: refused("erased") == before["erased"] + 1)
    assert not reader(user)["known"]
    assert stack.liveshelf("lists", user, ok=False).returncode == 1
    publish(stack, user, made(user, 7))
    eventually(lambda: reader(user)["version"] == 7)
    publish(stack, user, None, "10.0")


def test_an_item_of_tomorrow_is_not_found_and_then_is(stack: Stack, reader: Callable[[str], dict[str, Any]]) -> None:
    word = f"tomorrow{now_ms()}"
    item = CatalogueItem(
        item_id=word, title=f"A {word}", available_from=now_ms() + 4000, available_until=now_ms() + 9000
    )
    past = CatalogueItem(item_id=f"{word}past", title=f"A {word}", available_until=now_ms())
    marker = CatalogueItem(item_id=f"{word}now", title=f"A {word}")
    for one in (item, past, marker):
        stack.topics.send(CATALOGUE, one.item_id, encode_record(one))
    stack.topics.producer.flush()

    def found() -> list[str]:
        answer = httpx.get(f"{stack.shop}/v1/search", params={"q": word}).raise_for_status().json()
        return sorted(one["item_id"] for one in answer["items"] if word in one["item_id"])  # beside what looks alike

    eventually(lambda: marker.item_id in found())
    assert found() == [marker.item_id]
    eventually(lambda: found() == [item.item_id, marker.item_id])
    eventually(lambda: found() == [marker.item_id])
    for one in (item, past, marker):
        stack.topics.send(CATALOGUE, one.item_id, None)
    stack.topics.producer.flush()
