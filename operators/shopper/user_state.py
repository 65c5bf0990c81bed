"""The packed state of one user, and `step`, which applies an event to it.

The state is one fixed-width little-endian record, described by the numpy dtype `STATE`. The job edits it with
`struct` one event at a time; scorer and trainer read a whole micro-batch of records with `np.frombuffer`.
Item and event ids are kept as hashes (xxh64), so the state does not depend on any model's vocabulary.
"""

import math
from dataclasses import dataclass
from typing import Literal

import xxhash

from operators.records.contracts import Event, items_named
from operators.shopper.duplicates import is_duplicate, remember
from operators.shopper.listing import owed_again
from operators.shopper.state_layout import (
    BEFORE_EPOCH,
    CONSENT_REFUSED,
    EMPTY,
    ERASED_AT,
    HEADER,
    HISTORY,
    LISTED,
    SETTLED,
    Header,
    forget,
    migrate,
    reader,
    struct_of,
)
from operators.shopper.state_rings import (
    BOUGHT_ITEMS,
    DISLIKED_ITEMS,
    LOW,
    add_shown,
    add_step,
    forget_shown,
    put_first,
    step_at,
    stepped_on,
    take_away,
)

# A return and a rating below the middle are steps that take the item out: a model's table of kinds has a fixed size,
# and the model learned that this kind counts against an item.
KINDS = {"view": 1, "click": 2, "add_to_cart": 3, "remove_from_cart": 4, "purchase": 5, "rate": 6}
IN_BASKET, TAKEN_OUT, BOUGHT = KINDS["add_to_cart"], KINDS["remove_from_cart"], KINDS["purchase"]
RATING_MIDDLE = 3.0  # of one star to five
_LAST_S = 0xFFFFFFFF  # in 2106
_LAST_MS = _LAST_S * 1000 + 999

_erased = struct_of("erased_s", "erased_ms")
_steps, _seen, _epoch_s = reader("steps"), reader("seen"), reader("epoch_s")
version_of = reader("version")  # of a user's newest list
last_event_ms = reader("last_event_ms")  # the newest event time, epoch ms
session_start_s = reader("session_start_s")  # when the session in progress began, epoch s

StepOutcome = Literal["applied", "duplicate", "erased"]


def id_hash(text: str) -> int:
    """xxh64 of an id's UTF-8 bytes; never 0, which marks an empty place."""
    return xxhash.xxh64_intdigest(text.encode()) or 1


def is_return(event: Event) -> bool:
    """Whether it is a purchase of a negative quantity."""
    return event.event_type == "purchase" and event.quantity is not None and event.quantity < 0


def is_low_rating(event: Event, rating_middle: float) -> bool:
    """Whether it is a rating below the middle of the scale, which counts against the item."""
    return event.event_type == "rate" and event.rating is not None and event.rating < rating_middle


def consent_of(event: Event) -> bool | None:
    """Whether an event grants (True) or refuses (False) consent; None: neither."""
    consent = (event.context or {}).get("personalisation") if event.event_type == "consent" else None
    return True if consent in ("granted", True) else False if consent in ("denied", False) else None


@dataclass(slots=True)
class StepResult:
    """The outcome of one event: the new state, and whether to refresh the list. `version` is the list version after it."""

    state: bytes
    outcome: StepOutcome
    refresh: bool
    version: int


def step(
    state: bytes | None,
    event: Event,
    session_gap_ms: int = 30 * 60_000,
    arrived_ms: int | None = None,
    time_to_live_ms: float = math.inf,
    rating_middle: float = RATING_MIDDLE,
) -> StepResult:
    """Applies one valid event (`event_time` in epoch ms, not after its arrival) to a user's state (None for a new user).

    `arrived_ms`: the broker's time of the record (None: the event's own), of which a new state gets its epoch. A state
    without an event (but impressions) for `time_to_live_ms` is forgotten, and the user new: the engine drops it at
    some time after, and a replay at any pace must decide the same. Pure and deterministic.

    A duplicate (same event id within the user's last `EVENT_WINDOW` accepted events) and an event from before an
    erasure change nothing. A refusal of consent drops what the shopper did; until consent is granted events count for
    the version and against duplicates alone.
    """
    arrived_ms = int(event.event_time) if arrived_ms is None else arrived_ms
    record = bytearray(migrate(state) if state else EMPTY)
    layout, flags, shown, version, steps, seen, session, last_ms, session_s, epoch_s = HEADER.unpack_from(record)
    time_ms, erased = int(event.event_time), erased_ms(record)
    if state is not None and 0 < (last_ms or erased) < arrived_ms - time_to_live_ms:
        return step(None, event, session_gap_ms, arrived_ms, time_to_live_ms, rating_middle)
    event_hash = id_hash(event.event_id)
    if is_duplicate(record, event_hash):
        return StepResult(state or EMPTY, "duplicate", False, version)
    if time_ms <= erased:
        return StepResult(state or EMPTY, "erased", False, version)
    if state is None:
        epoch_s = _seconds(arrived_ms)
    remember(record, event_hash, seen)
    kind = event.event_type
    if kind == "consent" and (granted := consent_of(event)) is not None:
        flags = flags & ~CONSENT_REFUSED if granted else flags | CONSENT_REFUSED
        if not granted:
            forget(record)
            shown = steps = session = session_s = 0
    consented = not flags & CONSENT_REFUSED
    if kind == "impression":
        shown = add_shown(record, shown, [id_hash(item) & LOW for item in items_named(event)]) if consented else 0
    else:
        version += 1
        flags &= ~(LISTED | SETTLED)
        if consented:
            if event.session_id is not None or time_ms - last_ms > session_gap_ms:
                session, session_s = _session(event, session, session_s, last_ms, session_gap_ms)
            if kind in KINDS:
                steps = _add(record, steps, event, rating_middle)
        last_ms = max(last_ms, time_ms)
    HEADER.pack_into(record, 0, layout, flags, shown, version, steps, seen + 1, session, last_ms, session_s, epoch_s)
    return StepResult(bytes(record), "applied", kind != "impression", version)


def erase(state: bytes | None, arrived_ms: int) -> bytes:
    """The state after an erasure that arrived at `arrived_ms` by the broker's clock.

    What arrived before is gone. There stay the moment, so that late events stay out, a refusal of consent, and the
    version in a new epoch: no list from before is as new as one from now on. Steps from after the erasure stay: its
    record may be read later than theirs. An erasure that the state knows already changes nothing.
    """
    record, arrived_ms = bytearray(migrate(state) if state else EMPTY), min(max(1, arrived_ms), _LAST_MS)
    if erased_ms(record) >= arrived_ms:
        return bytes(record)
    header, record_after, steps = Header(*HEADER.unpack_from(record)), bytearray(EMPTY), 0
    for place in range(max(0, header.steps - HISTORY), header.steps):
        item, second, kind = step_at(record, place)
        if second * 1000 > arrived_ms:
            steps = add_step(record_after, steps, item, second, kind)
    after = Header(*HEADER.unpack_from(EMPTY))._replace(
        flags=header.flags & CONSENT_REFUSED,
        version=header.version,
        steps=steps,
        last_event_ms=header.last_event_ms if header.last_event_ms > arrived_ms else 0,
        epoch_s=max(_seconds(arrived_ms), header.epoch_s + 1),
    )
    HEADER.pack_into(record_after, 0, *after)
    _erased.pack_into(record_after, ERASED_AT, *divmod(arrived_ms, 1000))
    return bytes(record_after)


def erased_ms(record: bytes | bytearray) -> int:
    """The broker's time of the last erasure in a record of dtype `STATE`, epoch ms; 0: there was none."""
    second, millisecond = _erased.unpack_from(record, ERASED_AT)
    return int(second * 1000 + millisecond)


def holds_anything(state: bytes) -> bool:
    """Whether a state holds any step or event of its user, beyond an erasure."""
    return bool(_steps(state) or _seen(state))


def order_of(state: bytes) -> tuple[int, int]:
    """(epoch, version) of a state: of two lists of a user the one with the greater is the newer."""
    return (0 if state[0] in BEFORE_EPOCH else _epoch_s(state)), version_of(state)


def list_is_owed(state: bytes) -> bool:
    """Whether the user may get a list: not after an erasure without a later event."""
    return last_event_ms(state) > 0


def digest(state: bytes) -> str:
    """A short fingerprint of a state, equal for equal states of any layout; ignores whether the list is out."""
    return xxhash.xxh64_hexdigest(owed_again(state))


def _seconds(time_ms: int) -> int:
    return min(max(0, time_ms // 1000), _LAST_S)


def _session(event: Event, session: int, session_s: int, last_ms: int, gap_ms: int) -> tuple[int, int]:
    """Hash of the id, and beginning, of the session that an event belongs to: it goes on while the id stays the same,
    whatever the gap; where the event or the session has no id, the gap decides."""
    time_ms = int(event.event_time)
    named = 0 if event.session_id is None else id_hash(event.session_id) & LOW or 1
    begins = time_ms - last_ms > gap_ms
    if named and session:
        begins = named != session and time_ms >= last_ms  # a late event belongs to an earlier session
    return (named, _seconds(time_ms)) if begins else (session or named, session_s)


def _add(record: bytearray, steps: int, event: Event, rating_middle: float) -> int:
    """The steps of an event of `KINDS`; returns the new count of all steps ever."""
    kind, second = event.event_type, _seconds(int(event.event_time))
    if kind == "purchase":
        add = _add_return if is_return(event) else _add_purchase
        return add(record, steps, [*map(id_hash, items_named(event))], second)
    if event.item_id is None:
        return steps
    item = id_hash(event.item_id)
    if kind == "rate":
        low = is_low_rating(event, rating_middle)
        (put_first if low else take_away)(record, DISLIKED_ITEMS, [item & LOW])
        return add_step(record, steps, item, second, TAKEN_OUT if low else KINDS["rate"])
    if kind == "click" or kind == "add_to_cart":
        forget_shown(record, item & LOW)
    return add_step(record, steps, item, second, KINDS[kind])


def _add_purchase(record: bytearray, steps: int, items: list[int], second: int) -> int:
    """Marks items as bought; items that the history does not hold (no cart event) enter it."""
    held, lows = stepped_on(record), [item & LOW for item in items]
    for item in items:
        if item not in held:
            steps = add_step(record, steps, item, second, BOUGHT)
        forget_shown(record, item & LOW)
    put_first(record, BOUGHT_ITEMS, lows)
    take_away(record, DISLIKED_ITEMS, lows)
    return steps


def _add_return(record: bytearray, steps: int, items: list[int], second: int) -> int:
    """Takes items out; they may be listed again."""
    take_away(record, BOUGHT_ITEMS, [item & LOW for item in items])
    for item in items:
        steps = add_step(record, steps, item, second, TAKEN_OUT)
    return steps
