"""What lies in rings within a record of dtype `STATE`: the steps, what was bought, disliked and shown. Items are xxh64
hashes; `low` is the low 32 bits of one."""

import struct

from operators.shopper.state_layout import (
    BOUGHT_AT,
    DISLIKED_AT,
    HISTORY,
    ITEMS_AT,
    KINDS_AT,
    MAX_BOUGHT,
    MAX_DISLIKED,
    MAX_SHOWN,
    SECONDS_AT,
    SHOWN_COUNTS_AT,
    SHOWN_ITEMS_AT,
)

LOW = 0xFFFFFFFF
BOUGHT_ITEMS = (BOUGHT_AT, struct.Struct(f"<{MAX_BOUGHT}I"))
DISLIKED_ITEMS = (DISLIKED_AT, struct.Struct(f"<{MAX_DISLIKED}I"))

_items = struct.Struct(f"<{HISTORY}Q")
_shown = struct.Struct(f"<{MAX_SHOWN}I")
_u64 = struct.Struct("<Q")
_u32 = struct.Struct("<I")


def add_step(record: bytearray, steps: int, item: int, second: int, kind: int) -> int:
    """Adds a step to so many; returns how many there were ever."""
    at = steps % HISTORY
    _u64.pack_into(record, ITEMS_AT + 8 * at, item)
    _u32.pack_into(record, SECONDS_AT + 4 * at, second)
    record[KINDS_AT + at] = kind
    return steps + 1


def step_at(record: bytes | bytearray, place: int) -> tuple[int, int, int]:
    """Item, second and kind of the step that was the `place`-th ever."""
    at = place % HISTORY
    (item,), (second,) = _u64.unpack_from(record, ITEMS_AT + 8 * at), _u32.unpack_from(record, SECONDS_AT + 4 * at)
    return item, second, record[KINDS_AT + at]


def stepped_on(record: bytes | bytearray) -> set[int]:
    """The items of all steps, and 0 where places are empty."""
    return set(_items.unpack_from(record, ITEMS_AT))


def put_first(record: bytearray, ring: tuple[int, struct.Struct], lows: list[int]) -> None:
    """Puts items before those of `BOUGHT_ITEMS` or `DISLIKED_ITEMS`, the last one first; where they are full the oldest
    fall out."""
    at, places = ring
    held = places.unpack_from(record, at)
    _fill(record, ring, lows[::-1] + [one for one in held if one not in lows])


def take_away(record: bytearray, ring: tuple[int, struct.Struct], lows: list[int]) -> None:
    """Takes items out of `BOUGHT_ITEMS` or `DISLIKED_ITEMS`."""
    at, places = ring
    held = places.unpack_from(record, at)
    if held[0]:  # the first place is empty where all are
        _fill(record, ring, [one for one in held if one not in lows])


def _fill(record: bytearray, ring: tuple[int, struct.Struct], lows: list[int]) -> None:
    at, places = ring
    size = places.size // 4
    places.pack_into(record, at, *lows[:size], *(0,) * (size - len(lows)))


def add_shown(record: bytearray, shown: int, lows: list[int]) -> int:
    """Counts impressions, from the next free place `shown` on; the top of the list is counted last, so that the ring
    keeps it. Returns the next free place."""
    for low in reversed(lows):
        held = _shown.unpack_from(record, SHOWN_ITEMS_AT)
        if low in held:
            at = SHOWN_COUNTS_AT + held.index(low)
            record[at] = min(record[at] + 1, 255)
        else:
            _u32.pack_into(record, SHOWN_ITEMS_AT + 4 * shown, low)
            record[SHOWN_COUNTS_AT + shown] = 1
            shown = (shown + 1) % MAX_SHOWN
    return shown


def forget_shown(record: bytearray, low: int) -> None:
    """An item was taken up: that it was shown counts no more."""
    held = _shown.unpack_from(record, SHOWN_ITEMS_AT)
    if low in held:
        record[SHOWN_COUNTS_AT + held.index(low)] = 0
