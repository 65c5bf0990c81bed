"""Freshness as a reader of the topics sees it: the share of recently active users whose newest event got a list in
time."""

import math
from collections.abc import Callable
from dataclasses import dataclass

ACTIVE_MS = 300_000


@dataclass(slots=True)
class _Shopper:
    event_id: str
    event_time: int
    at_ms: int
    delay_s: float | None = None  # infinite: no list arrived in time before a pause


class ShopperFreshness:
    """Times are those of the records (epoch ms), so it does not matter how late they are read. Not thread-safe."""

    def __init__(self, fresh_within_s: float, now_ms: Callable[[], int]) -> None:
        self._within_s = fresh_within_s
        self._now_ms = now_ms
        self._shoppers: dict[str, _Shopper] = {}
        self._early: dict[str, tuple[str | None, int, int]] = {}  # lists that were read before their event

    def event(self, user: str, event_id: str, event_time: int, at_ms: int) -> float | None:
        """Takes a new, valid event of a type that causes a list. An event older than the user's newest changes nothing.

        Returns the delay in seconds if its list was read already.
        """
        held = self._shoppers.get(user)
        if held is not None and event_time < held.event_time:
            return None
        self._shoppers[user] = _Shopper(event_id, event_time, at_ms)
        early = self._early.pop(user, None)
        return None if early is None else self.listed(user, *early)

    def listed(self, user: str, event_id: str | None, event_time: int, at_ms: int) -> float | None:
        """Takes a list. Returns the delay in seconds if it is the first to answer the user's newest event."""
        held = self._shoppers.get(user)
        if held is None or (event_time > held.event_time and event_id != held.event_id):
            self._early[user] = (event_id, event_time, at_ms)
            return None
        if held.delay_s is not None or (event_time < held.event_time and event_id != held.event_id):
            return None
        held.delay_s = max(0.0, (at_ms - held.at_ms) / 1000)
        return held.delay_s

    def erased(self, user: str) -> None:
        """Forgets a user whose list was removed."""
        self._shoppers.pop(user, None)

    def pause(self) -> None:
        """The reader stops for a while. Users past the limit count as not fresh; users still inside it leave the sample."""
        now = self._now_ms()
        self._early.clear()
        for user, held in list(self._shoppers.items()):
            if held.delay_s is None:
                if now - held.at_ms > self._within_s * 1000:
                    held.delay_s = math.inf
                else:
                    del self._shoppers[user]

    def share(self) -> float:
        """Of the users with an event in the last five minutes, the share with a fresh list; NaN without users.

        Users who wait, still inside the limit, are not counted.
        """
        now, within_ms = self._now_ms(), self._within_s * 1000
        held_now = list(self._shoppers.values())  # at once: the reading thread goes on
        recent = (held for held in held_now if now - held.at_ms <= ACTIVE_MS)
        judged = [held for held in recent if held.delay_s is not None or now - held.at_ms > within_ms]
        fresh = sum(held.delay_s is not None and held.delay_s <= self._within_s for held in judged)
        return fresh / len(judged) if judged else float("nan")

    def forget_idle(self) -> None:
        """Forgets users without a recent event. Call it now and then."""
        now = self._now_ms()
        for user in [user for user, held in self._shoppers.items() if now - held.at_ms > ACTIVE_MS]:
            del self._shoppers[user]  # in place: a new table of all users every few seconds makes the heap grow
        self._early.clear()
