"""Puts dead letters back on their topics: filters, repairs, checks with the job's decoders, each letter once."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.records.contracts import ERASURES, EVENTS, encode_record
from operators.records.dead_letter import Letter
from operators.records.event_decode import EventDecoder, decode_erasure, key_text
from operators.records.record_repairs import Repairs
from operators.time_units import DAY_MS

TOPICS = (EVENTS, ERASURES)  # topics whose letters can be put back
BATCH = 500  # letters in a transaction; while it is open, the job reads no later record
EXAMPLES = 20  # refused letters that the result keeps


@dataclass(frozen=True)
class Outgoing:
    """A record to put back."""

    letter: int
    topic: str
    key: bytes | None
    value: bytes
    fixes: tuple[str, ...] = ()


@dataclass
class Replay:
    """Counts of a replay or a dry run. `done_before`: put back by an earlier run; `refused`: letters that the job would
    refuse again, by reason; `refused_letters`: the first of them as (place, reason, value)."""

    read: int = 0
    chosen: int = 0
    done_before: int = 0
    put_back: int = 0
    repaired: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refused_letters: list[tuple[str, str, str]] = field(default_factory=list)


class Ledger(Protocol):
    """Puts records back and remembers their letters."""

    def knows(self, letter: int) -> bool:
        """Whether this run or an earlier one has put the letter back."""

    def put_back(self, batch: list[Outgoing]) -> None:
        """Puts back and remembers all of the batch, or nothing. Raises `BrokerError`."""


class Judge:
    """Decides which letters go back, with the job's decoders."""

    def __init__(self, limits: EventSettings, repairs: Repairs) -> None:
        self._events = EventDecoder(limits)
        self._max_age_ms = limits.max_age_days * DAY_MS
        self._repairs = repairs

    def judge(self, letter: Letter, now_ms: int) -> Outgoing:
        """The record, unchanged if the job accepts it, else repaired. Raises `BadRecord` if the job would refuse it again."""
        try:
            return self._read(letter, letter.key, letter.value, now_ms)
        except BadRecord:
            repaired = self._repairs.repaired(letter, now_ms - self._max_age_ms)
            if repaired is None:
                raise
            return self._read(letter, repaired.key, repaired.value, now_ms, repaired.fixes)

    def _read(
        self, letter: Letter, key: bytes | None, value: bytes | None, now_ms: int, fixes: tuple[str, ...] = ()
    ) -> Outgoing:
        if letter.topic == ERASURES:
            user = decode_erasure(key_text(key), value or b"").user_id
        else:
            event = self._events.decode(key_text(key), value, now_ms)
            user = event.user_id
            if int(event.event_time) > letter.at_ms:
                # An event is not later than its record: the job would have limited the time too, and an erasure after
                # the record must cover the event.
                event.event_time = letter.at_ms
                value = encode_record(event)
        assert value is not None
        return Outgoing(letter.id, letter.topic, user.encode(), value, fixes)


def replay(
    letters: Iterable[Letter],
    is_chosen: Callable[[Letter], bool],
    judge: Judge,
    ledger: Ledger,
    clock_ms: Callable[[], int],
    *,
    limit: int | None = None,
    result: Replay,
) -> None:
    """Puts back at most `limit` chosen letters. `result` counts only what was committed.

    Raises `BrokerError`; the next run continues where this one ended.
    """
    batch = _Batch(ledger, result)
    for letter in letters:
        result.read += 1
        if not is_chosen(letter):
            continue
        result.chosen += 1
        if batch.knows(letter.id):
            result.done_before += 1
            continue
        try:
            batch.add(judge.judge(letter, clock_ms()))
        except BadRecord as bad:
            result.refused[bad.reason] += 1
            if len(result.refused_letters) < EXAMPLES:
                result.refused_letters.append((letter.place, bad.reason, bad.came))
            continue
        is_last = limit is not None and result.put_back + len(batch) >= limit
        if len(batch) == BATCH or is_last:
            batch.put_back()
        if is_last:
            return
    batch.put_back()


class _Batch:
    """Records for the next transaction."""

    def __init__(self, ledger: Ledger, result: Replay) -> None:
        self._ledger, self._result = ledger, result
        self._records: dict[int, Outgoing] = {}  # by letter

    def __len__(self) -> int:
        return len(self._records)

    def knows(self, letter: int) -> bool:
        return letter in self._records or self._ledger.knows(letter)

    def add(self, record: Outgoing) -> None:
        self._records[record.letter] = record

    def put_back(self) -> None:
        if not self._records:
            return
        records = list(self._records.values())
        self._ledger.put_back(records)
        self._result.put_back += len(records)
        self._result.repaired.update(fix for record in records for fix in record.fixes)
        self._records.clear()
