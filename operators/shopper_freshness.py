"""Whose list is fresh, as a reader of the topics sees it: of the users of late, the share whose newest event was
answered by a list in time."""

from collections.abc import Callable
from dataclasses import dataclass

import xxhash

ACTIVE_S = 300.0
_SPAN = 1 << 32


@dataclass(slots=True)
class _Shopper:
    event_id: str
    event_time: int
    at_s: float
    delay_s: float | None = None


class ShopperFreshness:
    """Follows a fixed share of the users. Not thread-safe."""

    def __init__(self, users_share: float, fresh_within_s: float, clock_s: Callable[[], float]) -> None:
        """`clock_s`: any clock in seconds; a delay is the time between the two calls here."""
        self._limit = users_share * _SPAN
        self._within_s = fresh_within_s
        self._clock_s = clock_s
        self._shoppers: dict[str, _Shopper] = {}

    def followed(self, user: str) -> bool:
        """Whether the user is one of the sample: always the same ones."""
        return xxhash.xxh32_intdigest(user.encode()) < self._limit

    def event(self, user: str, event_id: str, event_time: int) -> None:
        """A valid event, new, of a type that makes a list. One that is older than the newest changes nothing."""
        held = self._shoppers.get(user)
        if held is None or event_time >= held.event_time:
            self._shoppers[user] = _Shopper(event_id, event_time, self._clock_s())

    def listed(self, user: str, event_id: str | None, event_time: int) -> float | None:
        """A list; the delay in seconds where it answers the user's newest event for the first time."""
        held = self._shoppers.get(user)
        if held is None or held.delay_s is not None or (event_time < held.event_time and event_id != held.event_id):
            return None
        held.delay_s = self._clock_s() - held.at_s
        return held.delay_s

    def erased(self, user: str) -> None:
        """The user's list is gone."""
        self._shoppers.pop(user, None)

    def forget(self) -> None:
        """What is not answered yet is not waited for: records were skipped, and its list may be among them."""
        self._shoppers = {user: held for user, held in self._shoppers.items() if held.delay_s is not None}

    def share(self) -> float:
        """Of the users with an event in the last five minutes, the share with a fresh list; NaN without users.

        Who has waited for less than the limit counts neither way.
        """
        now = self._clock_s()
        self._shoppers = {user: held for user, held in self._shoppers.items() if now - held.at_s <= ACTIVE_S}
        judged = [
            held for held in self._shoppers.values() if held.delay_s is not None or now - held.at_s > self._within_s
        ]
        fresh = sum(held.delay_s is not None and held.delay_s <= self._within_s for held in judged)
        return fresh / len(judged) if judged else float("nan")
