"""The topic of dead letters: how many of each reason, the newest, and letters to a file, in a memory of fixed size."""

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

OTHER = "other"  # a reason that is none of ours, or none at all: somebody else may write to the topic too
HEADER_BYTES, HEADERS = 2000, 20  # of a record that are kept


@dataclass(frozen=True)
class Choice:
    """Of which letters: any where a field is empty. Times are those of the letters, epoch ms, `until_ms` not included."""

    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None

    def fits(self, reason: str | None, topic: str | None, at_ms: int) -> bool:
        """`reason` and `topic` as the headers have them."""
        return (
            (not self.reasons or (reason if reason in DEAD_LETTER_REASONS else OTHER) in self.reasons)
            and (not self.topics or topic in self.topics)
            and (self.since_ms is None or at_ms >= self.since_ms)
            and (self.until_ms is None or at_ms < self.until_ms)
        )

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is one of them."""
        return self.fits(letter.reason, letter.topic, letter.at_ms)


@dataclass
class DeadLetters:
    """What the topic holds. `newest`: the headers of the newest, oldest first, by name without Connect's prefix."""

    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    newest: list[dict[str, str]] = field(default_factory=list)


def read_dead_letters(settings: KafkaSettings, last: int, choice: Choice) -> DeadLetters:
    """Reads the topic to its present end and keeps the newest `last`. Raises `BrokerError`."""
    return summary(read_topic(settings, DEAD_LETTERS, choice.since_ms), last, choice)


def read_letters(settings: KafkaSettings, since_ms: int | None) -> Iterator[Letter]:
    """Those that the job wrote, each partition in order. Raises `BrokerError`."""
    return filter(None, map(Letter.of, read_topic(settings, DEAD_LETTERS, since_ms)))


def letters_of_file(file: Path) -> Iterator[Letter]:
    """Of a file of `write_letters`. Raises `EventsFileError`."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield Letter.of_line(line, number)


def write_letters(letters: Iterable[Letter], chosen: Callable[[Letter], bool], file: Path, limit: int | None) -> int:
    """One line a letter; returns how many. The file appears whole or not at all."""
    written = 0
    with whole_file(file) as out:
        for letter in islice(filter(chosen, letters), limit):
            out.write(letter.line() + b"\n")
            written += 1
    return written


def summary(records: Iterable[Any], last: int, choice: Choice = Choice()) -> DeadLetters:
    """Of kafka-python's records, in any order of partitions."""
    letters, newest = DeadLetters(), list[tuple[int, int, int, dict[str, str]]]()
    for record in records:
        headers = _headers(record)
        reason = headers.get(LETTER_REASON)
        if not choice.fits(reason, headers.get("topic"), record.timestamp):
            continue
        letters.count += 1
        letters.reasons[reason if reason in DEAD_LETTER_REASONS else OTHER] += 1
        place = (record.timestamp, record.partition, record.offset, headers)
        if len(newest) < last:
            heapq.heappush(newest, place)
        elif newest:
            heapq.heappushpop(newest, place)
    letters.newest = [place[3] for place in sorted(newest, key=lambda place: place[:3])]
    return letters


def _headers(record: Any) -> dict[str, str]:
    """Text of the headers, whatever they hold; a value may be null."""
    return {
        str(name).removeprefix(HEADER_PREFIX)[:HEADER_BYTES]: (value or b"")[:HEADER_BYTES].decode("utf-8", "replace")
        for name, value in record.headers[:HEADERS]
    }
