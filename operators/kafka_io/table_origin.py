"""The topic that a local table was read from, and the reasons to read it again."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from operators.time_units import DAY_MS, HOUR_MS

FORMAT = 2
UNKNOWN_AGE_LIMIT_MS = HOUR_MS  # age limit of a copy if this user may not describe the topic
UNKNOWN_FLOOR_MS = 7 * DAY_MS  # how long the table keeps a floor then
SHARE = 0.9  # of `delete.retention.ms`: the rest is time to catch up
SKEW_MS = HOUR_MS  # tolerated difference of clocks; a copy from further in the future is read again


class Origin(msgspec.Struct, frozen=True):
    """Where the rows come from. `complete_ms`: when they were last known to be all that the topic held (epoch ms);
    `rereading`: the topic is being read again from its beginning."""

    topic_id: str | None
    complete_ms: int
    rereading: bool = False
    format: int = FORMAT


class TopicFacts(NamedTuple):
    """`id`: None where the broker knows none. `tombstones_ms`: the topic's `delete.retention.ms`; None: unknown."""

    id: str | None
    tombstones_ms: int | None

    @property
    def age_limit_ms(self) -> float:
        """How old a copy may be: a tombstone that it has not seen may be gone from the topic afterwards."""
        return UNKNOWN_AGE_LIMIT_MS if self.tombstones_ms is None else SHARE * self.tombstones_ms

    @property
    def floor_ms(self) -> int:
        """How long a tombstone's trace is kept in the table."""
        return UNKNOWN_FLOOR_MS if self.tombstones_ms is None else self.tombstones_ms


def reason_to_reread(
    origin: Origin,
    facts: TopicFacts,
    offsets: Mapping[int, int],
    begins: Mapping[int, int],
    ends: Mapping[int, int],
    now_ms: int,
) -> str | None:
    """Why a copy may hold what the topic does not, or lack what it had; None if it can be continued.

    A new partition is no reason: its record of a key is newer than those of the other partitions.
    """
    if origin.topic_id != facts.id:
        return f"the topic was made anew: its id is {facts.id}, the copy is of {origin.topic_id}"
    for partition, offset in offsets.items():
        if partition not in ends:
            return f"the topic has no partition {partition}"
        if offset > ends[partition]:
            return f"partition {partition} ends at {ends[partition]}, before the copy's {offset}"
        if offset < begins[partition]:
            return f"partition {partition} begins at {begins[partition]}, after the copy's {offset}"
    age_ms, limit_ms = now_ms - origin.complete_ms, facts.age_limit_ms
    if not -SKEW_MS <= age_ms <= limit_ms:
        return f"the copy is {age_ms / 1000:.0f} s old, and the topic forgets deletions after {limit_ms / 1000:.0f} s"
    return None
