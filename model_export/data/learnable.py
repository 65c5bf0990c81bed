"""Whose events a model may learn from and be tested on: not those of a robot, and none that a shopper refused consent for."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from operators.contracts import Event
from operators.user_state import consent_of

DAY_MS = 86_400_000
# Of a person: events on one day (UTC), share of all events, times the median shopper's, events below which nobody is one
A_DAY, SHARE, TIMES, AT_LEAST = 2000, 0.05, 20, 200


def learnable(events: Sequence[Event]) -> tuple[list[Event], dict[str, int]]:
    """The events that are left, and counts for people: all, and the dropped ones by reason. `events` by time."""
    allowed = with_consent(events)
    bots = robots(allowed)
    kept = [event for event in allowed if event.user_id not in bots]
    refused = {event.user_id for event in events if consent_of(event) is False}
    counts = {"in": len(events)}
    if refused:
        counts[f"dropped: of {len(refused)} users who refused consent"] = len(events) - len(allowed)
    if bots:
        counts[f"dropped: of {len(bots)} users with more events than a person"] = len(allowed) - len(kept)
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


def robots(events: Sequence[Event]) -> set[str]:
    """Users with more events than a person: more than `A_DAY` on a day, or more than `SHARE` of all and `TIMES` the
    median user's. Impressions do not count."""
    done = [event for event in events if event.event_type != "impression"]
    daily = Counter((event.user_id, int(event.event_time) // DAY_MS) for event in done)
    totals = Counter(event.user_id for event in done)
    if not totals:
        return set()
    most = max(SHARE * len(done), TIMES * median(totals.values()), AT_LEAST)
    return {user for (user, _), count in daily.items() if count > A_DAY} | {
        user for user, count in totals.items() if count > most
    }
