"""Finds users with more events than a person has. `validate` reports them, and a training leaves them out."""

from collections import Counter
from statistics import median

from operators.records.contracts import Event
from operators.time_units import DAY_MS

# Limits of a person: events on one day (UTC), share of all events, multiple of the median user. Below AT_LEAST: no robot
A_DAY, SHARE, TIMES, AT_LEAST = 2000, 0.05, 20, 200


class Activity:
    """Events of each user, and of each on a day. Impressions do not count: pages show more than a person looks at."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._daily: Counter[tuple[str, int]] = Counter()

    def take(self, event: Event) -> None:
        """Counts a decoded event."""
        if event.event_type != "impression":
            self.totals[event.user_id] += 1
            self._daily[event.user_id, int(event.event_time) // DAY_MS] += 1

    def robots(self) -> set[str]:
        """Users with more than `A_DAY` events on a day, or more than `SHARE` of all and `TIMES` the median user's."""
        if not self.totals:
            return set()
        most = max(SHARE * self.totals.total(), TIMES * median(self.totals.values()), AT_LEAST)
        return {user for (user, _), count in self._daily.items() if count > A_DAY} | {
            user for user, count in self.totals.items() if count > most
        }
