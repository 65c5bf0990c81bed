"""Kafka's records as the Java half reads and writes them, in a JVM with the jars of the job."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from deploy.local.flink.flink_home import wheel_home
from deploy.local.jars import CONNECTOR
from deploy.local.layout import Layout
from operators.records.event_decode import key_bytes, key_text
from operators.refresh.refresh_records import InputRecord
from operators.settings import load_settings
from operators.shopper.recent_states import RecentStates
from pipelines.job.batch_messages import Message
from tests.pipelines.job.bridge.source_records import BROKER_MS, OFFSET, PARTITION, TOPIC, read_records
from tests.pipelines.job.bridge.users_of_bodies import USERS_OF_BODIES
from tests.places import ROOT

JARS = Layout.of(load_settings()).jars
MAX_CHARS = 60_000

pytestmark = pytest.mark.usefixtures("jars")


@pytest.fixture(scope="module")
def jvm(jars: None) -> Iterator[Any]:
    lib = wheel_home() / "lib"
    jars = [*lib.glob("flink-*.jar"), *lib.glob("log4j-*.jar"), JARS / CONNECTOR]
    jars.append(ROOT / "pipelines" / "job" / "bridge" / "liveshelf-bridge.jar")
    (py4j,) = (Path(sys.prefix) / "share" / "py4j").glob("py4j*.jar")
    port = launch_gateway(classpath=":".join(map(str, jars)), jarpath=str(py4j), die_on_exit=True)
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))
    yield gateway.jvm
    gateway.shutdown()


def read(jvm: Any, *records: tuple[bytes | None, bytes | None]) -> list[InputRecord]:
    """What Python gets of records with these keys and values."""
    pack = msgspec.msgpack.encode
    # as `Batch.java` has them: the user, no state, no timer, and the packed fields
    packed = [(one.getField(0), one.getField(1)) for one in read_records(jvm, MAX_CHARS, records)[1]]
    entries = [b"\x99" + pack(user) + b"\xc0\xc0" + fields for user, fields in packed]
    head = b"\xdd" + len(entries).to_bytes(4, "big")
    turns = Message(head + b"".join(entries), 0, RecentStates(10, lambda: 0.0)).turns
    return [turn.record for turn in turns if turn.record]


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff\xfe\x00", None, b"x" * 40, b"x" * 300, b"x" * 70_000])
@pytest.mark.parametrize("key", [b"u1", b"\xff\xfe", "ä\ufeff".encode(), b"k" * 300])
def test_a_record_with_a_key_crosses_as_it_is(jvm: Any, key: bytes, value: bytes | None) -> None:
    (record,) = read(jvm, (key, value))
    assert record == (key_text(key), value, TOPIC, PARTITION, OFFSET, BROKER_MS, True)


def test_records_do_not_mix(jvm: Any) -> None:
    sent = [(f"u{n}".encode(), b"v" * n) for n in range(100)]
    assert [(record.user.encode(), record.value) for record in read(jvm, *sent)] == sent


@pytest.mark.parametrize("key", [None, b""])
def test_a_record_without_a_key_belongs_to_the_user_of_its_body(jvm: Any, key: bytes | None) -> None:
    records = read(jvm, *((key, body) for body in USERS_OF_BODIES))
    assert [record.value for record in records] == [*USERS_OF_BODIES]
    assert not any(record.keyed for record in records)
    users = (key_bytes(record.user) for record in records)
    assert dict(zip(USERS_OF_BODIES, users, strict=True)) == USERS_OF_BODIES


def test_a_tombstone_without_a_key_belongs_to_nobody(jvm: Any) -> None:
    assert read(jvm, (None, None))[0][:2] == ("", None)


def test_a_large_body_is_not_searched_and_its_size_counts_in_characters(jvm: Any) -> None:
    def body(size: int, filler: str) -> bytes:
        text = '{"user_id":"u","x":"%s"}'
        return (text % (filler * (size - len(text % "")))).encode()

    sizes = [body(MAX_CHARS, "x"), body(MAX_CHARS + 1, "x"), body(MAX_CHARS, "👍"), body(MAX_CHARS + 1, "👍")]
    assert [record.user for record in read(jvm, *((None, one) for one in sizes))] == ["u", "", "u", ""]


@pytest.mark.parametrize("user", [b"u1", b"\xff\xfe", "ä\ufeff".encode(), b"", bytes(range(256))])
def test_the_keys_characters_stand_for_the_bytes_of_the_id(jvm: Any, user: bytes) -> None:
    record = jvm.org.apache.flink.api.java.tuple.Tuple2(user, b"")
    key = jvm.org.liveshelf.bridge.UserKey().getKey(record)
    assert (key.getArity(), key.getField(0)) == (1, user.decode("latin-1"))


def written(jvm: Any, topics: dict[str, str], *fields: Any) -> Any:
    """The record of an output, or None."""
    row = jvm.org.apache.flink.types.Row(4)
    for place, one in enumerate(fields):
        row.setField(place, one)
    return jvm.org.liveshelf.bridge.SinkRecords(topics).serialize(row, None, 1)


@pytest.mark.parametrize(("key", "value"), [(b"u", b"{}"), (b"\xff", None), (None, b"\xfe"), (None, None), (b"", b"")])
def test_an_output_becomes_a_record_of_its_kinds_topic(jvm: Any, key: bytes | None, value: bytes | None) -> None:
    record = written(jvm, {"list": "lists", "dead": "letters"}, "dead", key, value, {"reason": b"\xff", "a": b""})
    assert (record.topic(), record.key(), record.value()) == ("letters", key, value)
    assert {header.key(): header.value() for header in record.headers().toArray()} == {"reason": b"\xff", "a": b""}
    # the producer's partitioner decides by the key, and the broker sets the time
    assert (record.partition(), record.timestamp()) == (None, None)


def test_an_output_without_headers_and_one_of_another_sink(jvm: Any) -> None:
    assert not written(jvm, {"list": "lists"}, "list", b"u", b"{}", None).headers().toArray()
    assert written(jvm, {"list": "lists"}, "receipt", b"u", b"{}", None) is None
