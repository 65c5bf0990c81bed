"""A dead letter as a record of its topic and as a line of a file that people repair by hand."""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec
import xxhash

from operators.errors import EventsFileError
from operators.records.contracts import HEADER_PREFIX, LETTER_MESSAGE, LETTER_REASON


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A letter in a file. `letter` is its id; `at` epoch ms. `value` is the text of the record, or, repaired, any JSON;
    bytes that are no UTF-8 stand in base64."""

    letter: str
    topic: str
    partition: int
    offset: int
    at: int
    reason: str
    message: str = ""
    key: str | None = None
    key_base64: str | None = None
    value: Any = None
    value_base64: str | None = None


LARGEST = 2 << 20  # bytes: the largest record that topic and producer accept
HEADER_BYTES = 16 << 10  # bytes of it that headers may use
MAX_KEY, MAX_VALUE = 64 << 10, 1 << 20
_ID = re.compile("[0-9a-f]{16}")
_decode_line = msgspec.json.Decoder(Line).decode
_encode_line = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Letter:
    """A refused record: its place, key and value, and when (epoch ms) and why the job refused it.

    `id` names the record, not the letter: a job that restarts may write a letter twice. It is the hash of place and
    bytes, because the offsets of a topic that is created again start at 0. A repair keeps it.
    """

    id: int
    topic: str
    partition: int
    offset: int
    at_ms: int
    reason: str
    message: str
    key: bytes | None
    value: bytes | None

    @property
    def place(self) -> str:
        """TOPIC-PARTITION-OFFSET of the refused record."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @classmethod
    def of(cls, record: Any) -> "Letter | None":
        """The letter in a record of kafka-python; None if the job did not write the record."""
        headers = {str(name): value or b"" for name, value in record.headers}

        def header(name: str) -> str:
            return headers.get(HEADER_PREFIX + name, b"").decode("utf-8", "replace")

        topic, partition, offset = header("topic"), header("partition"), header("offset")
        if not (topic and _is_count(partition) and _is_count(offset)):
            return None
        return cls(
            letter_id(f"{topic}-{partition}-{offset}", record.key, record.value),
            topic,
            int(partition),
            int(offset),
            record.timestamp,
            header(LETTER_REASON),
            header(LETTER_MESSAGE),
            record.key,
            record.value,
        )

    def line(self) -> bytes:
        """JSON on one line."""
        key, key_base64 = _as_text(self.key)
        value, value_base64 = _as_text(self.value)
        return _encode_line(
            Line(
                letter=id_text(self.id),
                topic=self.topic,
                partition=self.partition,
                offset=self.offset,
                at=self.at_ms,
                reason=self.reason,
                message=self.message,
                key=key,
                key_base64=key_base64,
                value=value,
                value_base64=value_base64,
            )
        )

    @classmethod
    def of_line(cls, text: bytes, number: int) -> "Letter":
        """The letter in line `number` of a file. Raises `EventsFileError`."""
        try:
            line = _decode_line(text)
            value = line.value if isinstance(line.value, str | None) else json.dumps(line.value, ensure_ascii=False)
            return cls(
                id_of(line.letter),
                line.topic,
                line.partition,
                line.offset,
                line.at,
                line.reason,
                line.message,
                _as_bytes(line.key, line.key_base64),
                _as_bytes(value, line.value_base64),
            )
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise EventsFileError(
                "letters as `liveshelf dead-letters export` writes them, one a line",
                f"line {number}: {error}"[:200],
                "repair `key` and `value` and leave the other fields as they are",
            ) from None


def fitting(key: bytes | None, value: bytes | None) -> tuple[bytes | None, bytes | None, str]:
    """Key and value, cut if they are too large for a letter, and a remark about the cut, or "".

    A compressed record may be a thousand times as large as its topic's limit. If the broker refused the letter, the job
    would fail, read the record again, and fail again.
    """
    sizes = len(key or b""), len(value or b"")
    if sum(sizes) <= LARGEST - HEADER_BYTES:
        return key, value, ""
    key, value = key and key[:MAX_KEY], value and value[:MAX_VALUE]
    return key, value, f" (cut: of {sizes[0]} and {sizes[1]} bytes of key and value this holds the beginning)"


def letter_id(place: str, key: bytes | None, value: bytes | None) -> int:
    """64 bits."""
    return xxhash.xxh64_intdigest(b"\0".join((place.encode(), b"" if key is None else b"k" + key, value or b"")))


def id_text(letter: int) -> str:
    """An id as 16 hexadecimal digits, as files and receipts hold it."""
    return f"{letter:016x}"


def id_of(text: str) -> int:
    """The inverse of `id_text`; raises `ValueError`."""
    if not _ID.fullmatch(text):
        raise ValueError(f"`letter` {text[:40]!r}, not 16 hexadecimal digits")
    return int(text, 16)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _as_text(raw: bytes | None) -> tuple[str | None, str | None]:
    """(text, None), or (None, base64) of what is no UTF-8."""
    if raw is None:
        return None, None
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(raw).decode()


def _as_bytes(text: str | None, in_base64: str | None) -> bytes | None:
    """Text wins over base64, so that a repair of the text need not delete the base64."""
    if text is not None:
        return text.encode()
    return None if in_base64 is None else base64.b64decode(in_base64, validate=True)
