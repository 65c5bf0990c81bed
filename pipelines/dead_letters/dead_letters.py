"""Reads the topic of dead letters: counts by reason, the newest, an export to a file; in bounded memory."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from operators.kafka_io.read_to_end import read_topic
from operators.records.contracts import DEAD_LETTER_REASONS, DEAD_LETTERS, HEADER_PREFIX, LETTER_REASON
from operators.records.dead_letter import Letter
from operators.settings import KafkaSettings
from pipelines.topics.whole_file import whole_file

OTHER = "other"  # no reason, or an unknown one: others may write to the topic too
HEADER_BYTES, HEADERS = 2000, 20  # limits for each record


@dataclass(frozen=True)
class Choice:
    """A filter of letters; an empty field matches all. Times of the letters in epoch ms, without `until_ms` itself."""

    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None

    def matches(self, reason: str | None, topic: str | None, at_ms: int) -> bool:
        """Whether a letter with these headers is chosen."""
        return (
            (not self.reasons or (reason if reason in DEAD_LETTER_REASONS else OTHER) in self.reasons)
            and (not self.topics or topic in self.topics)
            and (self.since_ms is None or at_ms >= self.since_ms)
            and (self.until_ms is None or at_ms < self.until_ms)
        )

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is chosen."""
        return self.matches(letter.reason, letter.topic, letter.at_ms)


@dataclass
class DeadLetters:
    """Summary of the topic. `newest`: headers of the newest letters, oldest first; names without Connect's prefix."""

    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    newest: list[dict[str, str]] = field(default_factory=list)


def read_dead_letters(settings: KafkaSettings, last: int, choice: Choice) -> DeadLetters:
    """Reads the topic to its present end and keeps the newest `last`. Raises `BrokerError`."""
    return summary(read_topic(settings, DEAD_LETTERS, choice.since_ms), last, choice)


def read_letters(settings: KafkaSettings, since_ms: int | None) -> Iterator[Letter]:
    """The letters that Liveshelf wrote, each partition in order. Raises `BrokerError`."""
    return filter(None, map(Letter.of, read_topic(settings, DEAD_LETTERS, since_ms)))


def letters_of_file(file: Path) -> Iterator[Letter]:
    """The letters of a file of `write_letters`. Raises `EventsFileError`."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield Letter.of_line(line, number)


def write_letters(letters: Iterable[Letter], is_chosen: Callable[[Letter], bool], file: Path, limit: int | None) -> int:
    """Writes one line a letter; returns how many. The file appears complete or not at all."""
    count = 0
    with whole_file(file) as out:
        for letter in islice(filter(is_chosen, letters), limit):
            out.write(letter.line() + b"\n")
            count += 1
    return count


def summary(records: Iterable[Any], last: int, choice: Choice = Choice()) -> DeadLetters:
    """Summary of kafka-python's records, in any order of partitions."""
    result, newest_entries = DeadLetters(), list[tuple[int, int, int, dict[str, str]]]()
    for record in records:
        headers = _headers(record)
        reason = headers.get(LETTER_REASON)
        if not choice.matches(reason, headers.get("topic"), record.timestamp):
            continue
        result.count += 1
        result.reasons[reason if reason in DEAD_LETTER_REASONS else OTHER] += 1
        entry = (record.timestamp, record.partition, record.offset, headers)
        if len(newest_entries) < last:
            heapq.heappush(newest_entries, entry)
        elif newest_entries:
            heapq.heappushpop(newest_entries, entry)
    result.newest = [entry[3] for entry in sorted(newest_entries, key=lambda entry: entry[:3])]
    return result


def _headers(record: Any) -> dict[str, str]:
    """Headers as text, cut to the limits; a value may be null."""
    return {
        str(name).removeprefix(HEADER_PREFIX)[:HEADER_BYTES]: (value or b"")[:HEADER_BYTES].decode("utf-8", "replace")
        for name, value in record.headers[:HEADERS]
    }
