"""Puts dead letters back on their topics: chosen, repaired, checked by the job's own decoders, each put back once."""

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

TOPICS = (EVENTS, ERASURES)  # whose letters can be put back
BATCH = 500  # letters in a transaction: the job reads nothing behind it while it is open
SHOWN = 20  # letters refused again that are shown


@dataclass(frozen=True)
class Outgoing:
    """A record on its way back."""

    letter: int
    topic: str
    key: bytes | None
    value: bytes
    fixes: tuple[str, ...] = ()


@dataclass
class Replay:
    """What was done, or would be. `read`: letters; `refused`: reasons for which the job would refuse them again, and
    the first of these letters as (place, reason, what came)."""

    read: int = 0
    chosen: int = 0
    done_before: int = 0
    put_back: int = 0
    repaired: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refused_letters: list[tuple[str, str, str]] = field(default_factory=list)


class Ledger(Protocol):
    """Puts records back and remembers which letters they were."""

    def knows(self, letter: int) -> bool:
        """Whether a letter was put back, in this run or an earlier one."""

    def put_back(self, batch: list[Outgoing]) -> None:
        """All of them and the memory of it, or nothing. Raises `BrokerError`."""


class Judge:
    """Decides which letters go back, with the decoders of the job."""

    def __init__(self, limits: EventSettings, repairs: Repairs) -> None:
        self._events = EventDecoder(limits)
        self._max_age_ms = limits.max_age_days * DAY_MS
        self._repairs = repairs

    def judge(self, letter: Letter, now_ms: int) -> Outgoing:
        """The record unchanged where the job accepts it; else repaired. Raises `BadRecord` where the job would refuse it again."""
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
                # an event is not later than its record: on its first way the job would have read the time of then, and
                # an erasure since must reach it
                event.event_time = letter.at_ms
                value = encode_record(event)
        assert value is not None
        return Outgoing(letter.id, letter.topic, user.encode(), value, fixes)


def replay(
    letters: Iterable[Letter],
    chosen: Callable[[Letter], bool],
    judge: Judge,
    ledger: Ledger,
    clock_ms: Callable[[], int],
    *,
    limit: int | None = None,
    done: Replay,
) -> None:
    """Puts back what `chosen` takes, at most `limit` letters, and counts in `done`: what stands there was committed.

    Raises `BrokerError`; a run after it goes on where this one ended.
    """
    batch: list[Outgoing] = []
    waiting: set[int] = set()

    def put_back() -> None:
        ledger.put_back(batch)
        done.put_back += len(batch)
        done.repaired.update(fix for outgoing in batch for fix in outgoing.fixes)
        batch.clear()
        waiting.clear()

    for letter in letters:
        done.read += 1
        if not chosen(letter):
            continue
        done.chosen += 1
        if letter.id in waiting or ledger.knows(letter.id):
            done.done_before += 1
            continue
        try:
            batch.append(judge.judge(letter, clock_ms()))
        except BadRecord as bad:
            done.refused[bad.reason] += 1
            if len(done.refused_letters) < SHOWN:
                done.refused_letters.append((letter.place, bad.reason, bad.came))
            continue
        waiting.add(letter.id)
        full = limit is not None and done.put_back + len(batch) >= limit
        if len(batch) == BATCH or full:
            put_back()
        if full:
            return
    if batch:
        put_back()
