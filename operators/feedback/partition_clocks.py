"""When a window over records of a partition has closed, although partitions may be idle and processes restart.

A window that begins at a record's broker time closes when the partition's broker time has passed its end: then all
records within it were read. An idle partition has no later record. There the window closes by the wall clock, once no
record of the partition was read for some time. Nothing of this is kept in a checkpoint: after a restart the silence
begins anew, so that records of the outage are read first.
"""

import math

START_GRACE_MS = 15_000  # from the start of the process until its sources surely read
LOOK_AGAIN_MS = 1000
AHEAD_MS = 5 * 60_000  # of the wall clock: a broker's clock that ran ahead once must not close all windows from then on


class PartitionClocks:
    """Newest broker time and last reading of each partition, as one subtask reads them."""

    def __init__(self, started_ms: int) -> None:
        """`started_ms`: the processing time at which the process started, epoch ms, as all times here."""
        self._silent_since = started_ms + START_GRACE_MS
        self._newest: dict[int, int] = {}
        self._read_at: dict[int, int] = {}

    def read(self, partition: int, broker_ms: int, now_ms: int) -> None:
        """A record of any user was read."""
        broker_ms = min(broker_ms, now_ms + AHEAD_MS)
        self._newest[partition] = max(broker_ms, self._newest.get(partition, broker_ms))
        self._read_at[partition] = now_ms

    def closed_until(self, partition: int, silence_ms: int, now_ms: int) -> float:
        """The broker's time before which windows must end to have closed.

        `silence_ms`: how long the partition must have been idle if the wall clock is to decide.
        """
        newest = self._newest.get(partition, -math.inf)
        silent = now_ms - self._read_at.get(partition, self._silent_since) > silence_ms
        return max(newest, now_ms) if silent else newest

    def look_ms(self, partition: int, end_ms: int, silence_ms: int, now_ms: int) -> int:
        """The processing time at which to ask again for a window that ends at the broker's time `end_ms`."""
        look = max(self._read_at.get(partition, self._silent_since) + silence_ms, end_ms) + 1
        if (newest := self._newest.get(partition)) is not None:
            look = min(look, now_ms + max(0, end_ms - newest) + LOOK_AGAIN_MS)
        return max(look, now_ms + 1)
