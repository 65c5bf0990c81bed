"""Filters the events for training and test: drops robots, and events without the shopper's consent."""

from collections.abc import Sequence

from operators.errors import EventsFileError
from operators.quality.robots import Activity
from operators.records.contracts import Event
from operators.shopper.user_state import consent_of


def learnable(events: Sequence[Event]) -> tuple[list[Event], dict[str, int]]:
    """The remaining events, and counts for the log: all events, and dropped events by reason. `events` in time order.

    Raises `EventsFileError` when no event remains.
    """
    allowed = with_consent(events)
    activity = Activity()
    for event in allowed:
        activity.take(event)
    bots = activity.robots()
    remaining = [event for event in allowed if event.user_id not in bots]
    refused = {event.user_id for event in events if consent_of(event) is False}
    counts = {"in": len(events)}
    if refused:
        counts[f"dropped: of {len(refused)} users who refused consent"] = len(events) - len(allowed)
    if bots:
        counts[f"dropped: of {len(bots)} users with more events than a person"] = len(allowed) - len(remaining)
    if not remaining:
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
        raise EventsFileError("events that a model may learn from", reasons, "export events of more shoppers")
    return remaining, counts


def with_consent(events: Sequence[Event]) -> list[Event]:
    """Drops events between a refusal and the next grant, and all events of shoppers whose newest answer is a refusal.

    The consent events stay: at a refusal the state forgets the shopper's history.
    """
    newest = {event.user_id: granted for event in events if (granted := consent_of(event)) is not None}
    now: dict[str, bool] = {}
    consented = []
    for event in events:
        if newest.get(event.user_id) is False:
            continue
        if (granted := consent_of(event)) is not None:
            now[event.user_id] = granted
        if granted is not None or now.get(event.user_id, True):
            consented.append(event)
    return consented
