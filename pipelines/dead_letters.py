"""The topic of dead letters: how many of each reason, and the newest, in a memory of fixed size."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from operators.contracts import DEAD_LETTERS, HEADER_PREFIX, REASONS
from operators.settings import KafkaSettings
from pipelines.topic_stretch import stretch

REASON = "exception.class.name"
OTHER = "other"  # a reason that is none of ours, or none at all: somebody else may write to the topic too
HEADER_BYTES, HEADERS = 2000, 20  # of a record that are kept


@dataclass
class DeadLetters:
    """What the topic holds. `newest`: the headers of the newest, oldest first, by name without Connect's prefix."""

    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    newest: list[dict[str, str]] = field(default_factory=list)


def read_dead_letters(settings: KafkaSettings, last: int) -> DeadLetters:
    """Reads the whole topic to its present end and keeps the newest `last`. Raises `BrokerError`."""
    return summary(stretch(settings, DEAD_LETTERS, None), last)


def summary(records: Iterable[Any], last: int) -> DeadLetters:
    """Of kafka-python's records, in any order of partitions."""
    found, held = DeadLetters(), list[tuple[int, int, int, dict[str, str]]]()
    for record in records:
        headers = _headers(record)
        reason = headers.get(REASON)
        found.count += 1
        found.reasons[reason if reason in REASONS else OTHER] += 1
        place = (record.timestamp, record.partition, record.offset, headers)
        if len(held) < last:
            heapq.heappush(held, place)
        elif held:
            heapq.heappushpop(held, place)
    found.newest = [place[3] for place in sorted(held, key=lambda place: place[:3])]
    return found


def _headers(record: Any) -> dict[str, str]:
    """Text of the headers, whatever they hold; a value may be null."""
    return {
        str(name).removeprefix(HEADER_PREFIX)[:HEADER_BYTES]: (value or b"")[:HEADER_BYTES].decode("utf-8", "replace")
        for name, value in record.headers[:HEADERS]
    }
