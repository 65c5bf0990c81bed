"""Finds duplicates: a user's state holds the ids of the last `EVENT_WINDOW` accepted events, as hashes."""

from operators.shopper.state_layout import EVENT_WINDOW, EVENTS_AT, place_of, struct_of

_window, _place = struct_of("event_hash"), place_of("event_hash")
_SIZE = _place.size


def is_duplicate(record: bytearray, event_hash: int) -> bool:
    """Whether an event with this id was accepted before. `record`: a state of dtype `STATE`."""
    return event_hash in _window.unpack_from(record, EVENTS_AT)


def remember(record: bytearray, event_hash: int, accepted: int) -> None:
    """Adds an accepted event in place of the oldest; `accepted`: how many the user had before."""
    _place.pack_into(record, EVENTS_AT + _SIZE * (accepted % EVENT_WINDOW), event_hash)
