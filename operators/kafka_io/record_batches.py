"""Lets kafka-python read records with a header name that is not UTF-8. By itself it cannot read past one.

Any producer of librdkafka can write one, the broker accepts it, and Java reads it. kafka-python raises at every poll
before it returns the records around it: a table that follows the topic stops, and a verb fails.
"""

from typing import Any

from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

_UNREADABLE = ord("?")


class ReadableBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python has no types
    """As kafka-python's; in a header name that is not UTF-8 each byte beyond ASCII becomes `?`."""

    def _read_msg(self) -> Any:
        begin = self._pos
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            _make_names_readable(self._buffer, begin)
            return super()._read_msg()


def read_any_header_name() -> None:
    """Makes all kafka-python consumers of this process read such records."""
    memory_records.DefaultRecordBatch = ReadableBatch


def _make_names_readable(buffer: bytearray, pos: int) -> None:
    """Changes the names of the record that begins at `pos`, none in length (Kafka's record format, version 2)."""
    for _ in ("length", "attributes", "timestamp", "offset"):
        _, pos = decode_varint(buffer, pos)
    for _ in ("key", "value"):
        pos = _after(buffer, pos)
    headers, pos = decode_varint(buffer, pos)
    for _ in range(headers):
        size, pos = decode_varint(buffer, pos)
        name = buffer[pos : pos + size]
        try:
            name.decode()
        except UnicodeDecodeError:
            buffer[pos : pos + size] = bytes(byte if byte < 0x80 else _UNREADABLE for byte in name)
        pos = _after(buffer, pos + size)


def _after(buffer: bytearray, pos: int) -> int:
    """The place after a field of bytes, which may be null."""
    size, pos = decode_varint(buffer, pos)
    return int(pos + max(size, 0))
