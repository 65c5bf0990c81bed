"""The rings within a record of dtype `STATE`: steps, and bought, disliked and shown items. Items are xxh64
hashes; `low` is the low 32 bits of one."""

import struct
from typing import NamedTuple

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
    place_of,
    struct_of,
)

LOW = 0xFFFFFFFF


class Ring(NamedTuple):
    """A ring of items by their `low`: its first byte in a record, the format of all places, and their count."""

    at: int
    packed: struct.Struct
    places: int


BOUGHT_ITEMS = Ring(BOUGHT_AT, struct_of("bought"), MAX_BOUGHT)
DISLIKED_ITEMS = Ring(DISLIKED_AT, struct_of("disliked"), MAX_DISLIKED)

_items, _item, _second = struct_of("item"), place_of("item"), place_of("second")
_all_shown, _shown = struct_of("shown_item"), place_of("shown_item")
_ITEM_SIZE, _SECOND_SIZE, _SHOWN_SIZE = _item.size, _second.size, _shown.size


def add_step(record: bytearray, steps: int, item: int, second: int, kind: int) -> int:
    """Adds a step after the first `steps`; returns the new count of all steps ever."""
    at = steps % HISTORY
    _item.pack_into(record, ITEMS_AT + _ITEM_SIZE * at, item)
    _second.pack_into(record, SECONDS_AT + _SECOND_SIZE * at, second)
    record[KINDS_AT + at] = kind
    return steps + 1


def step_at(record: bytes | bytearray, place: int) -> tuple[int, int, int]:
    """Item, second and kind of step number `place`, counted from 0 over all steps ever."""
    at = place % HISTORY
    (item,) = _item.unpack_from(record, ITEMS_AT + _ITEM_SIZE * at)
    (second,) = _second.unpack_from(record, SECONDS_AT + _SECOND_SIZE * at)
    return item, second, record[KINDS_AT + at]


def items_of_steps(record: bytes | bytearray) -> tuple[int, ...]:
    """The items of all steps by the place in the ring, 0 where places are empty."""
    return _items.unpack_from(record, ITEMS_AT)


def stepped_on(record: bytes | bytearray) -> set[int]:
    """The items of all steps, and 0 where places are empty."""
    return set(items_of_steps(record))


def put_first(record: bytearray, ring: Ring, lows: list[int]) -> None:
    """Puts items before those of `BOUGHT_ITEMS` or `DISLIKED_ITEMS`, the last one first; if the ring is full, the oldest
    items are dropped."""
    held = ring.packed.unpack_from(record, ring.at)
    _fill(record, ring, lows[::-1] + [low for low in held if low not in lows])


def take_away(record: bytearray, ring: Ring, lows: list[int]) -> None:
    """Takes items out of `BOUGHT_ITEMS` or `DISLIKED_ITEMS`."""
    held = ring.packed.unpack_from(record, ring.at)
    if held[0]:  # the first place is empty where all are
        _fill(record, ring, [low for low in held if low not in lows])


def _fill(record: bytearray, ring: Ring, lows: list[int]) -> None:
    ring.packed.pack_into(record, ring.at, *lows[: ring.places], *(0,) * (ring.places - len(lows)))


def add_shown(record: bytearray, shown: int, lows: list[int]) -> int:
    """Counts impressions, from the next free place `shown` on; the top of the list is counted last, so that the ring
    keeps it. Returns the next free place."""
    for low in reversed(lows):
        held = _all_shown.unpack_from(record, SHOWN_ITEMS_AT)
        if low in held:
            at = SHOWN_COUNTS_AT + held.index(low)
            record[at] = min(record[at] + 1, 255)
        else:
            _shown.pack_into(record, SHOWN_ITEMS_AT + _SHOWN_SIZE * shown, low)
            record[SHOWN_COUNTS_AT + shown] = 1
            shown = (shown + 1) % MAX_SHOWN
    return shown


def forget_shown(record: bytearray, low: int) -> None:
    """Resets the impressions of an item that the shopper reacted to."""
    held = _all_shown.unpack_from(record, SHOWN_ITEMS_AT)
    if low in held:
        record[SHOWN_COUNTS_AT + held.index(low)] = 0
