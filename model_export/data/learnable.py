"""Whose events a model may learn from and be tested on: not those of a robot, and none that a shopper refused consent for."""

from collections.abc import Sequence

from operators.errors import EventsFileError
from operators.quality.robots import Activity
from operators.records.contracts import Event
from operators.shopper.user_state import consent_of


def learnable(events: Sequence[Event]) -> tuple[list[Event], dict[str, int]]:
    """The events that are left, and counts for people: all, and the dropped ones by reason. `events` by time.

    Raises `EventsFileError` where none is left.
    """
    allowed = with_consent(events)
    activity = Activity()
    for event in allowed:
        activity.take(event)
    bots = activity.robots()
    kept = [event for event in allowed if event.user_id not in bots]
    refused = {event.user_id for event in events if consent_of(event) is False}
    counts = {"in": len(events)}
    if refused:
        counts[f"dropped: of {len(refused)} users who refused consent"] = len(events) - len(allowed)
    if bots:
        counts[f"dropped: of {len(bots)} users with more events than a person"] = len(allowed) - len(kept)
    if not kept:
        came = ", ".join(f"{reason} {count}" for reason, count in counts.items())
        raise EventsFileError("events that a model may learn from", came, "export events of more shoppers")
    return kept, counts


def with_consent(events: Sequence[Event]) -> list[Event]:
    """Without what a shopper did between a refusal and the next grant, and without those whose newest word is a refusal.

    The consent events themselves stay: the state forgets at a refusal.
    """
    newest = {event.user_id: granted for event in events if (granted := consent_of(event)) is not None}
    now: dict[str, bool] = {}
    kept = []
    for event in events:
        if newest.get(event.user_id) is False:
            continue
        if (granted := consent_of(event)) is not None:
            now[event.user_id] = granted
        if granted is not None or now.get(event.user_id, True):
            kept.append(event)
    return kept
