"""Batches as a broker sends them, some with header names that kafka-python cannot read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from operators.kafka_io.record_batches import ReadableBatch, read_any_header_name

NONE, GZIP = 0, 1
Headers = list[tuple[bytes, bytes | None]]


class Name(str):
    """A header's name of any bytes: kafka-python's builder encodes it."""

    raw: bytes

    def __new__(cls, raw: bytes) -> "Name":
        made = super().__new__(cls, raw.decode("latin-1"))
        made.raw = raw
        return made

    def encode(self, *_: str) -> bytes:
        return self.raw


def batch(records: list[tuple[bytes | None, bytes | None, Headers]], compression: int = NONE) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 20)
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, 1000 + offset, key, value, [(Name(name), content) for name, content in headers])
    return bytes(builder.build())


BAD = [(b"k0", b"v0", []), (b"k1", None, [(b"a", b"1"), (b"\xff\xfe", None), (b"b\xc3", b"2")]), (None, b"v2", [])]


@pytest.mark.parametrize("compression", [NONE, GZIP])
def test_a_record_with_unreadable_names_and_those_around_it_are_read(compression: int) -> None:
    found = list(ReadableBatch(batch(BAD, compression)))
    assert [(r.offset, r.key, r.value) for r in found] == [(0, b"k0", b"v0"), (1, b"k1", None), (2, None, b"v2")]
    assert found[1].headers == [("a", b"1"), ("??", None), ("b?", b"2")]


def test_kafka_python_alone_cannot_read_it() -> None:
    with pytest.raises(CorruptRecordError):
        list(DefaultRecordBatch(batch(BAD)))


def test_consumers_read_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_records, "DefaultRecordBatch", DefaultRecordBatch)
    read_any_header_name()
    assert len(list(memory_records.MemoryRecords(batch(BAD)).next_batch())) == 3


@given(
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=5),
            st.none() | st.binary(max_size=200),
            st.lists(st.tuples(st.binary(max_size=100), st.none() | st.binary(max_size=9)), max_size=4),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_all_that_is_readable_stays_as_it_is(records: list[tuple[bytes | None, bytes | None, Headers]]) -> None:
    for read, (key, value, headers) in zip(ReadableBatch(batch(records)), records, strict=True):
        assert (read.key, read.value) == (key, value)
        for (name, content), (raw, expected) in zip(read.headers, headers, strict=True):
            assert content == expected
            assert name.encode() == raw or (len(name.encode()) == len(raw) and "?" in name)
